"""What is minimised: the labels alone, or the labels and the merged teachers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mtkd_cli import counter_rng
from mtkd_cli.data.dataset import Split
from mtkd_cli.distributed import group
from mtkd_cli.errors import PluginError
from mtkd_cli.interfaces import AggregationBatch, Task
from mtkd_cli.interfaces.missing_labels import without_labels
from mtkd_cli.interfaces.missing_outputs import filled
from mtkd_cli.losses import feature_loss
from mtkd_cli.models.feature_projectors import WithFeatures
from mtkd_cli.training.loop import Losses, Step
from mtkd_cli.training.strategy import Strategy
from mtkd_cli.training.training_data import TrainingData


@dataclass(frozen=True)
class FromLabels:
    """The task loss over what is labeled, in every process's share of the batch."""

    data: TrainingData

    def __call__(self, output: Any, step: Step) -> Losses:
        """Return the losses of the outputs of a step."""
        target, task = self.data.labels(step), self.data.task
        return Losses(share_of_mean(task.task_loss(output, target), task.labelled(target)))


@dataclass(frozen=True)
class Hints:
    """The loss to the teachers' features, beside the loss to their outputs.

    Attributes:
        features: the teachers' standardised features at a step, K of ``[B, D_k]``.
        ratio: how much it counts.
    """

    features: Callable[[Step], tuple[Tensor, ...]]
    ratio: float

    def loss(self, student: tuple[Tensor, ...], weights: Tensor | None, step: Step) -> Tensor:
        """Return the loss, averaged over samples that some teacher speaks about.

        Args:
            student: the student's features, brought to each teacher's, K of ``[B, D_k]``.
            weights: the strategy's, ``[K, B, *]``; None where it is no weighting: all count the same.
            step: where training stands.
        """
        pairs = zip(student, self.features(step), strict=True)
        losses = torch.stack([feature_loss(mine.float(), theirs) for mine, theirs in pairs])
        if weights is None:
            return self.ratio * share_of_mean(losses, torch.ones_like(losses, dtype=torch.bool))
        each = weights.flatten(2).mean(dim=2) if weights.dim() > 2 else weights
        return self.ratio * share_of_mean((each * losses).sum(dim=0), each.sum(dim=0) > 0)


@dataclass(frozen=True)
class FromTeachers:
    """The task loss and the distillation loss, mixed by ``kd_ratio``.

    Attributes:
        data: the training samples and the teachers' outputs on them.
        strategy: weighs or combines the teachers.
        batches: makes the batch that the strategy is given.
        hints: the teachers' features, if the student learns them too.
    """

    data: TrainingData
    strategy: Strategy
    batches: Batches
    temperature: float
    kd_ratio: float
    hints: Hints | None = None

    def __call__(self, output: Any, step: Step) -> Losses:
        """Return the losses of the outputs of a step."""
        target, task = self.data.labels(step), self.data.task
        features: tuple[Tensor, ...] = ()
        if isinstance(output, WithFeatures):
            output, features = output.output, output.features
        student = output.detach() if isinstance(output, Tensor) else output
        outputs = self.data.teacher_outputs(step)
        batch = self.batches(outputs, step.indices, target, student=student, step=step)
        try:
            with torch.no_grad():
                merged = self.strategy.merge(batch)
        except PluginError as error:
            error.where = f"{error.where} at step {step.number + 1}".strip()
            raise
        kd = task.kd_loss(output, merged, self.temperature)
        heard = torch.ones_like(kd) if merged.weights is None else merged.weights.sum(dim=0)
        labels = share_of_mean(task.task_loss(output, target), task.labelled(target))
        weights, kd_loss = merged.weights, share_of_mean(kd, heard > 0)
        if self.hints is not None:
            kd_loss = kd_loss + self.hints.loss(features, merged.weights, step)
        return Losses(labels, kd_loss, self.kd_ratio, weights, batch.teacher_names)


@dataclass(frozen=True)
class Batches:
    """Makes the batches that a strategy is given, on one split.

    Attributes:
        names: the teachers'.
        declared: their ``weight`` keys.
        known: ``[K, C]``, the classes that each teacher knows; None if all know all.
        gaps: whether a teacher may have no answer to some samples.
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
    ) -> AggregationBatch:
        """Return the batch of the samples at ``indices``; without a target no sample is labelled."""
        device = outputs[0].device
        if target is None:
            target = without_labels(torch.from_numpy(self.split.samples.targets[indices])).to(device)
        outputs, answered = filled(outputs) if self.gaps else (outputs, None)
        given = any(weight is not None for weight in self.declared)
        weights = (
            torch.tensor([1.0 if w is None else w for w in self.declared], device=device) if given else None
        )
        return AggregationBatch(
            outputs=outputs,
            teacher_names=self.names,
            sample_ids=tuple(self.split.samples.ids[i] for i in indices),
            temperature=self.temperature,
            progress=step.progress if step else 1.0,
            task=self.task,
            declared_weights=weights,
            known=None if self.known is None else self.known.to(device),
            answered=answered,
            target=target,
            labelled=self.task.labelled(target),
            student_output=student,
            metadata={name: column[indices] for name, column in self.split.samples.metadata.items()},
            draw=lambda name, shape: self._drawn(name, shape, len(indices), step).to(device),
            summed=group.all_reduce_sum if step and step.place is not None else lambda tensor: tensor,
        )

    def _drawn(self, name: str, shape: tuple[int, ...], samples: int, step: Step | None) -> Tensor:
        """Return random numbers of a step; of those for samples, the part of this process's share."""
        number = step.number if step else 0
        if step and step.batch > samples and shape[:1] == (samples,):
            whole = counter_rng.torch_uniform((step.batch, *shape[1:]), "strategy", self.seed, number, name)
            return whole[step.place]
        return counter_rng.torch_uniform(shape, "strategy", self.seed, number, name)


def share_of_mean(loss: Tensor, counted: Tensor) -> Tensor:
    """Return this process's part of the mean over what counts in every process: their sum is the mean.

    Args:
        loss: per element.
        counted: bool, the same shape.
    """
    return torch.where(counted, loss, 0).sum() / group.all_reduce_sum(counted.sum()).clamp(min=1)
