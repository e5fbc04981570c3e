"""Training objectives: the loss on labels, alone or mixed with the loss to the merged teachers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mtkd_cli import counter_rng
from mtkd_cli.data.dataset import Split
from mtkd_cli.distributed import group
from mtkd_cli.errors import PluginError
from mtkd_cli.interfaces import AggregationBatch, Labels, Merged, Task
from mtkd_cli.interfaces.missing_labels import missing_labels_as
from mtkd_cli.interfaces.missing_outputs import fill_gaps
from mtkd_cli.losses import feature_loss
from mtkd_cli.models.feature_projectors import WithFeatures
from mtkd_cli.training.loop import Losses, Step
from mtkd_cli.training.training_data import TrainingData
from mtkd_cli.training.view_cache import ViewCache

MERGED = "merged"
"""What is kept of whole views: weights or combined outputs."""


@dataclass(frozen=True)
class FromLabels:
    """The task loss, averaged over the labels of the batch in all processes."""

    data: TrainingData

    def __call__(self, output: Any, step: Step) -> Losses:
        """Return the losses of the outputs of a step."""
        return Losses(label_loss(self.data.task, output, self.data.labels(step)))


@dataclass(frozen=True)
class Hints:
    """The loss to the teachers' features, beside the loss to their outputs.

    Attributes:
        features: function from a step to the teachers' standardized features, K of ``[B, D_k]``.
        ratio: weight of this loss.
    """

    features: Callable[[Step], tuple[Tensor, ...]]
    ratio: float

    def loss(self, student: tuple[Tensor, ...], weights: Tensor | None, step: Step) -> Tensor:
        """Return the loss, averaged over the samples on which some teacher has a weight.

        Args:
            student: the student's features, projected to each teacher's size, K of ``[B, D_k]``.
            weights: weights of the strategy, ``[K, B, *]``; None if it combines outputs: all count equally.
            step: the current step.
        """
        pairs = zip(student, self.features(step), strict=True)
        # K of [B, D_k] -> [K, B]
        losses = torch.stack([feature_loss(own.float(), teacher) for own, teacher in pairs])
        if weights is None:
            return self.ratio * share_of_mean(losses, torch.ones_like(losses, dtype=torch.bool))
        # [K, B, *] -> [K, B]
        per_sample = weights.flatten(2).mean(dim=2) if weights.dim() > 2 else weights
        return self.ratio * share_of_mean((per_sample * losses).sum(dim=0), per_sample.sum(dim=0) > 0)


class Merging(Protocol):
    """A strategy in use, see `mtkd_cli.training.strategy.Strategy`."""

    @property
    def per_sample(self) -> bool:
        """Whether what it returns for a sample depends on that sample only."""

    @property
    def weighs(self) -> bool:
        """Whether it returns weights; if not, it returns combined outputs."""

    def merge(self, batch: AggregationBatch) -> Merged:
        """Return the teachers' outputs with their weights, or the combined output."""


@dataclass(frozen=True)
class FromTeachers:
    """The task loss and the distillation loss, mixed by ``kd_ratio``.

    Attributes:
        data: training samples and the teachers' outputs on them.
        strategy: strategy that weighs or combines the teachers.
        batches: builder of the strategy's input.
        temperature: temperature of the distillation loss.
        kd_ratio: weight of the distillation loss, from 0 to 1.
        hints: loss to the teachers' features; None if the student does not learn them.
        kept: what the strategy returned for whole views.
    """

    data: TrainingData
    strategy: Merging
    batches: Batches
    temperature: float
    kd_ratio: float
    hints: Hints | None = None
    kept: ViewCache = field(default_factory=ViewCache, init=False, compare=False, repr=False)

    def __call__(self, output: Any, step: Step) -> Losses:
        """Return the losses of the outputs of a step."""
        labels, task = self.data.labels(step), self.data.task
        features: tuple[Tensor, ...] = ()
        if isinstance(output, WithFeatures):
            output, features = output.output, output.features
        student = output.detach() if isinstance(output, Tensor) else output
        outputs = self.data.teacher_outputs(step)
        try:
            with torch.no_grad():
                if self._is_kept(labels):
                    merged = self._kept_merge(step, outputs)
                else:
                    merged = self._merge(step, outputs, labels, student)
        except PluginError as error:
            error.where = f"{error.where} at step {step.number + 1}".strip()
            raise
        kd = task.kd_loss(output, merged, self.temperature)
        # [K, B, *] -> [B, *]: 0 where every teacher is ignored
        total_weight = torch.ones_like(kd) if merged.weights is None else merged.weights.sum(dim=0)
        task_loss = label_loss(task, output, labels)
        weights, kd_loss = merged.weights, share_of_mean(kd, total_weight > 0)
        if self.hints is not None:
            kd_loss = kd_loss + self.hints.loss(features, merged.weights, step)
        return Losses(task_loss, kd_loss, self.kd_ratio, weights, self.batches.names)

    def _is_kept(self, labels: Labels) -> bool:
        """Whether a view of a sample has one merged target in all steps, and all of them are small."""
        is_fixed = self.strategy.per_sample and not labels.parts and not self.batches.gaps
        return is_fixed and self.data.keeps_outputs and MERGED not in self.kept.refused

    def _merge(self, step: Step, outputs: tuple[Tensor, ...], labels: Labels, student: Any) -> Merged:
        """Return the teachers' outputs on a step's views with the weights of the strategy."""
        batch = self.batches(
            outputs, step.indices, labels.target, student=student, step=step, mixed=labels.parts
        )
        return self.strategy.merge(batch)

    def _kept_merge(self, step: Step, outputs: tuple[Tensor, ...]) -> Merged:
        """Return the same from what the strategy returned for whole views."""

        def merge(indices: NDArray[np.int64]) -> Tensor:
            part = replace(step, indices=indices)
            merged = self._merge(part, self.data.teacher_outputs(part), self.data.labels(part), None)
            if merged.weights is None:
                return merged.combined  # type: ignore[return-value]  # one of both is given
            # [K, B, *] -> [B, K, *], to select samples in the first dimension
            return merged.weights.transpose(0, 1).contiguous()

        key = MERGED, self.data.view_number(step.epoch)
        found = self.kept.rows(key, step.indices, len(self.data), merge)
        known = self.batches.known_on(self.data.device)
        if self.strategy.weighs:
            return Merged(outputs, weights=found.transpose(0, 1), known=known)
        return Merged(outputs, combined=found, known=known)


@dataclass(frozen=True)
class Batches:
    """Builds the batches that a strategy receives, on one split.

    Attributes:
        task: the task.
        split: split with the samples.
        names: names of the K teachers.
        declared: their ``weight`` keys in the recipe.
        temperature: temperature of the distillation loss.
        seed: seed of the strategy's random numbers.
        known: mask of the classes that each teacher knows, ``[K, C]``; None if all know all.
        gaps: whether a teacher may have non-finite outputs on some samples.
    """

    task: Task
    split: Split
    names: tuple[str, ...]
    declared: tuple[float | None, ...]
    temperature: float
    seed: int
    known: Tensor | None = None
    gaps: bool = False

    def __call__(
        self,
        outputs: tuple[Tensor, ...],
        indices: NDArray[np.int64],
        target: Tensor | None,
        student: Any = None,
        step: Step | None = None,
        mixed: tuple[tuple[Tensor, Tensor], ...] = (),
    ) -> AggregationBatch:
        """Return the batch of the samples at ``indices``; without a target, no sample is labeled.

        Args:
            outputs: the teachers' outputs, K of ``[B, C, *]``.
            indices: indices of the samples, ``[B]``.
            target: their labels.
            student: the student's output.
            step: the current step.
            mixed: labels of mixed samples, see `Labels.parts`: a teacher is used where it is used for all.
        """
        device = outputs[0].device
        if target is None:
            target = missing_labels_as(torch.from_numpy(self.split.samples.targets[indices])).to(device)
        outputs, answered = fill_gaps(outputs) if self.gaps else (outputs, None)
        has_weights = any(weight is not None for weight in self.declared)
        weights = (
            torch.tensor([1.0 if w is None else w for w in self.declared], device=device)
            if has_weights
            else None
        )
        return AggregationBatch(
            outputs=outputs,
            teacher_names=self.names,
            sample_ids=tuple(map(self.split.samples.ids.__getitem__, indices.tolist())),
            temperature=self.temperature,
            progress=step.progress if step else 1.0,
            task=self.task,
            declared_weights=weights,
            known=self.known_on(device),
            answered=answered,
            target=target,
            labeled=self.task.labeled(target),
            student_output=student,
            metadata={name: column[indices] for name, column in self.split.samples.metadata.items()},
            draw=lambda name, shape: self._random(name, shape, len(indices), step).to(device),
            sum_over_processes=group.all_reduce_sum
            if step and step.own_slice is not None
            else lambda tensor: tensor,
            usage_by_label=self._usage_by_label(outputs, mixed),
        )

    def known_on(self, device: torch.device) -> Tensor | None:
        """Return the mask of the classes that each teacher knows, ``[K, C]``; None if all know all."""
        return None if self.known is None else self.known.to(device)

    def _usage_by_label(
        self, outputs: tuple[Tensor, ...], mixed: tuple[tuple[Tensor, Tensor], ...]
    ) -> Tensor | None:
        """Return where each teacher is used according to the labels of mixed samples, ``[K, B, *]``."""
        usage: Tensor | None = None
        for target, share in mixed:
            mask = self.task.usage_mask(outputs, target, self.known)
            if mask is not None:
                mask = mask | (share <= 0)
                usage = mask if usage is None else usage & mask
        return usage

    def _random(self, name: str, shape: tuple[int, ...], samples: int, step: Step | None) -> Tensor:
        """Return random numbers of a step; if one per sample, those of this process's share of the batch."""
        number = step.number if step else 0
        if step and step.batch > samples and shape[:1] == (samples,):
            # for the whole batch, so that results do not depend on the number of processes
            whole = counter_rng.torch_uniform((step.batch, *shape[1:]), "strategy", self.seed, number, name)
            return whole[step.own_slice]
        return counter_rng.torch_uniform(shape, "strategy", self.seed, number, name)


def label_loss(task: Task, output: Any, labels: Labels) -> Tensor:
    """Return this process's share of the mean loss on the labels.

    Labels of mixed samples are weighed by their share, in the sum of the losses and in their number.
    """
    if not labels.parts:
        return share_of_mean(task.task_loss(output, labels.target), task.labeled(labels.target))
    losses = torch.stack([task.task_loss(output, target) for target, _ in labels.parts])
    counted = torch.stack([task.labeled(target) * share for target, share in labels.parts])
    return share_of_mean(losses, counted)


def share_of_mean(loss: Tensor, counted: Tensor) -> Tensor:
    """Return this process's share of a mean over all processes: the sum of the shares is the mean.

    Args:
        loss: loss per element.
        counted: mask of the elements that count, or how much each counts from 0 to 1, same shape. Together
            they count as at least 1, so that a trace of a label does not have the strength of a label.
    """
    if counted.dtype != torch.bool:
        loss = counted.to(loss.dtype) * loss
    return torch.where(counted > 0, loss, 0).sum() / group.all_reduce_sum(counted.sum()).clamp(min=1)
