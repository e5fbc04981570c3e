"""Strategies, and the batches that they receive."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol

from mtkd_cli.interfaces.task import Task
from mtkd_cli.interfaces.types import FEW_LABELS, Merged

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor


def _identity(tensor: Tensor) -> Tensor:
    return tensor


@dataclass(frozen=True)
class AggregationBatch:
    """Outputs of K teachers on B samples.

    ``*`` stands for the task's ``elements``: no dimensions if each sample has one weight, ``H, W`` if each
    pixel has its own.

    Attributes:
        outputs: K tensors ``[B, C, *]``, raw, aligned to the task's classes.
        teacher_names: K names, in the recipe's order.
        sample_ids: B names.
        temperature: temperature of the recipe.
        progress: completed share of the run, 0 to 1.
        task: the task, for `error`, `uncertainty` and `scores`.
        declared_weights: ``[K]``, the recipe's ``weight`` keys (default: 1); None if no teacher has one.
        known: ``[K, C]`` bool, the classes that each teacher knows; None: all. The output for an unknown
            class is
            `mtkd_cli.interfaces.label_space.UNKNOWN`.
        answered: ``[K, B]`` bool, samples with finite outputs; None: all. The core gives the others weight 0;
            their outputs are replaced by the mean of the other teachers.
        target: labels; only for strategies that need ``labels``. Missing where a mixed view has two labels.
        labeled: ``[B, *]`` bool, the mask of labels; only for strategies that need ``labels``.
        student_output: ``[B, C, *]`` without gradient, or another form that a student has in training (see
            `Task.to_task_shape`); only for strategies that need ``student``.
        metadata: columns of B values each.
        draw: function ``(name, shape)`` to uniform numbers in [0, 1), determined by seed, step and name.
        sum_over_processes: function that sums a tensor over the processes of a training batch, for strategies
            that need totals of the whole batch. Every process must call it equally often, with the same
            shape. With one process, and outside training, it returns the tensor.
        usage_by_label: ``[K, B, *]`` bool, part of `usage_mask` that depends on labels, for strategies that
            do not receive labels, and for samples whose labels are mixed.
    """

    outputs: tuple[Tensor, ...]
    teacher_names: tuple[str, ...]
    sample_ids: tuple[str, ...]
    temperature: float
    progress: float
    task: Task
    declared_weights: Tensor | None = None
    known: Tensor | None = None
    answered: Tensor | None = None
    target: Tensor | None = None
    labeled: Tensor | None = None
    student_output: Any = None
    metadata: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    draw: Callable[[str, tuple[int, ...]], Tensor] | None = None
    sum_over_processes: Callable[[Tensor], Tensor] = _identity
    usage_by_label: Tensor | None = None

    @cached_property
    def error(self) -> Tensor:
        """Each teacher's error on labels of classes that it knows, ``[K, B, *]``; needs ``labels``."""
        import torch

        if self.target is None:
            raise LookupError("labels were not asked for: declare needs=('labels',)")
        pairs = zip(self.outputs, self._targets_known, strict=True)
        return torch.cat([self.task.error((output,), target) for output, target in pairs])

    @cached_property
    def uncertainty(self) -> Tensor:
        """Each teacher's uncertainty, ``[K, B, *]``, 0 to 1."""
        return self.task.uncertainty(self.outputs)

    @cached_property
    def scores(self) -> tuple[float, ...]:
        """Each teacher's primary metric on labels of classes that it knows; needs ``labels``."""
        return tuple(self.task.metrics(found)[self.task.primary.name] for found in self._statistics)

    @cached_property
    def scores_alone(self) -> tuple[float, ...]:
        """Each teacher's primary metric on all labels; labels of unknown classes count as wrong.

        This is its score as the only teacher. Needs ``labels``.
        """
        if self.known is None:
            return self.scores
        if self.target is None or self.labeled is None:
            raise LookupError("labels were not asked for: declare needs=('labels',)")
        from mtkd_cli.interfaces.missing_labels import any_per_sample

        rows = any_per_sample(self.labeled)
        found = (self.task.statistics(output, self.target)[rows] for output in self.outputs)
        return tuple(self.task.metrics(each)[self.task.primary.name] for each in found)

    @cached_property
    def losses_alone(self) -> tuple[float, ...]:
        """Each teacher's mean evaluation loss on all labels; needs ``labels``.

        It is very large if a teacher does not know the class of a label.
        """
        import torch

        if self.target is None or self.labeled is None:
            raise LookupError("labels were not asked for: declare needs=('labels',)")
        sums = []
        for output in self.outputs:
            loss = self.task.evaluation_loss(output, self.target)
            sums.append(torch.where(self.labeled, loss, 0).double().sum().item())
        count = max(1, int(self.labeled.sum()))
        return tuple(total / count for total in sums)

    @cached_property
    def ranking(self) -> tuple[int, ...]:
        """The teachers' indices, best first. Needs ``labels``.

        By `losses_alone` while fewer than `FEW_LABELS` labels are given: with few labels, scores differ by
        one sample. With more labels, for maps and boxes, and if some teachers know only some classes, by
        `scores_alone`, then by `losses_alone`. Equal teachers are sorted by name, so that the recipe's order
        never decides.
        """
        if self.labeled is None:
            raise LookupError("labels were not asked for: declare needs=('labels',)")
        metric = self.task.primary
        few = self.known is None and self.labeled.sum() < FEW_LABELS and not self.task.spatial
        ranks = [
            metric.rank(metric.to_larger_better(-loss) if few else score, loss)
            for score, loss in zip(self.scores_alone, self.losses_alone, strict=True)
        ]
        by_name = sorted(range(len(ranks)), key=self.teacher_names.__getitem__)
        return tuple(sorted(by_name, key=ranks.__getitem__, reverse=True))

    @cached_property
    def class_scores(self) -> Tensor | None:
        """Each teacher's score on each class, ``[K, C]`` (`Task.class_score`), NaN if undefined.

        None if the task has no scores of classes. Needs ``labels``.
        """
        import torch

        if not self.task.class_score:
            return None
        measured = [self.task.details(found).per_class[self.task.class_score] for found in self._statistics]
        return torch.tensor(measured, dtype=torch.float64)

    @cached_property
    def _statistics(self) -> tuple[Tensor, ...]:
        """The task's statistics ``[N, S]`` of each teacher on labels of classes that it knows."""
        if self.target is None:
            raise LookupError("labels were not asked for: declare needs=('labels',)")
        from mtkd_cli.interfaces.missing_labels import any_per_sample

        found = []
        for output, target in zip(self.outputs, self._targets_known, strict=True):
            rows = any_per_sample(self.task.labeled(target))
            found.append(self.task.statistics(output, target)[rows])
        return tuple(found)

    @cached_property
    def usage_mask(self) -> Tensor:
        """Mask of the elements on which each teacher is used, ``[K, B, *]`` bool.

        It is False for non-finite outputs, and for labels that the teacher cannot predict, see
        `Task.usage_mask`. The core sets these weights to 0; a strategy that selects one teacher must select
        among the others.
        """
        import torch

        first = self.outputs[0]
        shape = (len(self.outputs), len(first), *self.task.elements)
        usage_mask = torch.ones(shape, dtype=torch.bool, device=first.device)
        for limit in (self._usage_by_label, self.answered):
            if limit is not None:
                # [K, B] or [K, B, *] -> [K, B, *]
                usage_mask = usage_mask & limit.view(*limit.shape, *(1,) * (usage_mask.dim() - limit.dim()))
        return usage_mask

    @property
    def has_unused_teacher(self) -> bool:
        """Whether `usage_mask` may be False for some teacher."""
        return self.answered is not None or self._usage_by_label is not None

    @cached_property
    def _usage_by_label(self) -> Tensor | None:
        if self.target is None or self.usage_by_label is not None:
            return self.usage_by_label
        return self.task.usage_mask(self.outputs, self.target, self.known)

    @cached_property
    def _targets_known(self) -> tuple[Tensor, ...]:
        """K labels, each without the classes that the teacher does not know."""
        if self.target is None:
            raise LookupError("labels")
        if self.known is None:
            return (self.target,) * len(self.outputs)
        return tuple(self.task.remove_unknown_labels(self.target, known) for known in self.known)

    def alone(self, teacher: int) -> Merged:
        """Return the outputs of one teacher as the only one, for `Task.kd_loss`."""
        import torch

        output = self.outputs[teacher]
        weights = torch.ones(1, len(output), *self.task.elements, device=output.device)
        return Merged((output,), weights, known=None if self.known is None else self.known[[teacher]])

    def random(self, name: str, shape: tuple[int, ...]) -> Tensor:
        """Return uniform random numbers in [0, 1), the same in every run and after a resume."""
        if self.draw is None:
            raise LookupError("this batch has no random numbers: draw is None")
        return self.draw(name, shape)

    def without(self, *needs: str) -> AggregationBatch:
        """Return the batch without the fields of the given needs."""
        batch = self
        if "labels" in needs:
            batch = replace(batch, target=None, labeled=None, usage_by_label=batch._usage_by_label)
        if "student" in needs:
            batch = replace(batch, student_output=None)
        return batch


class Aggregator(Protocol):
    """A strategy, constructed with its options.

    It has ``weights``, or ``combine`` if its target is not a weighted mean of the teachers, and ``fit`` if
    its spec needs ``validation``.
    """

    def weights(self, batch: AggregationBatch) -> Tensor:
        """Return weights ``[K, B, *]``, or ``[K, B]`` for whole samples; finite, >= 0, sum 1 over K."""


class FittedAggregator(Aggregator, Protocol):
    """A strategy that is fitted on validation data before training."""

    def fit(self, validation: AggregationBatch) -> None:
        """Fit the strategy to the validation split, passed as one batch with labels."""


class CombiningAggregator(Protocol):
    """A strategy whose target is not a weighted mean of the teachers."""

    def combine(self, batch: AggregationBatch) -> Tensor:
        """Return one combined output ``[B, C, *]`` in the form of the teachers' outputs."""
