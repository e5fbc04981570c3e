"""Types in the signatures of a task, and what they hold."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

    from mtkd_cli.interfaces.models import InputSpec


FEW_LABELS = 500
"""Labels below which a proper score (the loss) ranks, not the metric.

With fewer, accuracies tie or differ by one sample: one of 500 is 0.2 points, about what separates two epochs.
"""


@dataclass(frozen=True)
class Metric:
    """A measured quantity and its direction.

    Attributes:
        name: key in files and programs: ``pixel_accuracy``.
        higher_is_better: its direction.
        mean_of: column of `Task.statistics` whose mean over the samples is the metric (NaN: the sample does
            not count); None if it is not such a mean. Of a column of zeros and ones, intervals and
            verdicts are exact.
        label: name in reports; default: ``name`` with spaces instead of underscores.
    """

    name: str
    higher_is_better: bool = True
    mean_of: int | None = None
    label: str = ""

    @property
    def shown(self) -> str:
        """The name in reports."""
        return self.label or self.name.replace("_", " ")

    def better(self, new: float, old: float) -> bool:
        """Whether ``new`` is strictly better than ``old``."""
        return new > old if self.higher_is_better else new < old

    def signed(self, value: float) -> float:
        """Return a value so that larger is better, or the value of a signed one."""
        return value if self.higher_is_better else -value

    def rank(self, value: float, loss: float) -> tuple[float, float]:
        """Return what orders results, the larger the better: by the metric, equal ones by the lower loss.

        A value that is not a number ranks last.
        """
        return tuple(-math.inf if math.isnan(part) else part for part in (self.signed(value), -loss))  # type: ignore[return-value]


@dataclass(frozen=True)
class TaskData:
    """What a task is told of the data.

    Attributes:
        classes: class names; the names of the values for a regression.
        targets: the labels of the training samples that may be seen, see `Samples.targets`.
        input: size, channels, mean and deviation of the training inputs.
    """

    classes: tuple[str, ...]
    targets: NDArray[Any]
    input: InputSpec


@dataclass(frozen=True)
class LossOptions:
    """What a task is told of the recipe's ``loss``.

    Attributes:
        temperature: softening of teachers and student in `Task.kd_loss`, which is given it with each call;
            here for tasks that have none and refuse it.
        label_smoothing: share of a label that is spread over all classes, in `Task.task_loss`.
        class_weights: weight of each class, in both losses: ``balanced`` (inverse frequency), one weight a
            class, or None.
    """

    temperature: float = 1.0
    label_smoothing: float = 0.0
    class_weights: Literal["balanced"] | tuple[float, ...] | None = None


@dataclass(frozen=True)
class Alignment:
    """Which of a teacher's outputs answer each of the task's classes; none: it does not know the class.

    Attributes:
        groups: for each of the task's classes, the teacher's outputs (class numbers) that answer it.
        named: how many of the teacher's outputs have a class name; None: not known.
    """

    groups: tuple[tuple[int, ...], ...]
    named: int | None = None

    @property
    def known(self) -> tuple[bool, ...]:
        """For each of the task's classes, whether the teacher knows it."""
        return tuple(bool(group) for group in self.groups)

    def is_identity(self, outputs: int) -> bool:
        """Whether a teacher with so many outputs has the task's classes in the task's order."""
        return self.groups == tuple((place,) for place in range(outputs))


@dataclass(frozen=True)
class Merged:
    """K teachers' answers and how much each counts, or one combined answer.

    Attributes:
        outputs: K tensors ``[B, C, *]``.
        weights: ``[K, B, *]``, >= 0, sum 1 over K (all 0 where no teacher speaks); None if combined.
        combined: ``[B, C, *]``, an output of the teachers' kind; None if weighted.
        known: ``[K, C]`` bool, the classes that each teacher knows; None if all know all.
    """

    outputs: tuple[Tensor, ...]
    weights: Tensor | None = None
    combined: Tensor | None = None
    known: Tensor | None = None


@dataclass(frozen=True)
class Details:
    """What a report shows of someone's answers besides the metrics; what is empty is not shown.

    Attributes:
        per_class: by metric, one value for each class (NaN: there is none).
        confusion: ``[C][C]`` counts, a row for each class of the labels, a column for each of the answers.
        reliability: of answers of about the same confidence (mean confidence, share that is right, number).
        points: by target, pairs (label, answer) of some samples.
        counts: how many labels each class has: samples, pixels or boxes.
        by_chance: by metric, what chance alone shows: of a calibration error that of a perfectly calibrated
            model with the same confidences.
    """

    per_class: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    confusion: tuple[tuple[int, ...], ...] = ()
    reliability: tuple[tuple[float, float, int], ...] = ()
    points: Mapping[str, tuple[tuple[float, float], ...]] = field(default_factory=dict)
    counts: tuple[int, ...] = ()
    by_chance: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Prediction:
    """One sample's answer in the user's words.

    Attributes:
        facts: texts and numbers by name; the first is the answer.
        scores: a number for each class or value, by name; empty where there are none.
        mask: ``[H, W]`` class numbers, on the task's grid; None where there is no map.
        boxes: (class name, score, x1, y1, x2, y2), the sides as shares; None where there are no boxes.
    """

    facts: Mapping[str, str | float]
    scores: Mapping[str, float] = field(default_factory=dict)
    mask: NDArray[Any] | None = None
    boxes: tuple[tuple[str, float, float, float, float, float], ...] | None = None
