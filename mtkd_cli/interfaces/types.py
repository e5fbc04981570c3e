"""Types in the signatures of tasks."""

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
"""Number of labels below which the loss, a proper score, ranks results instead of the metric.

With fewer labels, accuracies are equal or differ by one sample: one of 500 is 0.2 points, about the
difference between two epochs.
"""


@dataclass(frozen=True)
class Metric:
    """A measured quantity and its direction.

    Attributes:
        name: key in files and programs: ``pixel_accuracy``.
        higher_is_better: direction of the metric.
        mean_of: column of `Task.statistics` whose mean over the samples is the metric (samples with NaN are
            ignored); None if the metric is not such a mean. Intervals and verdicts are exact for a column of
            zeros and ones.
        label: name in reports; default: ``name`` with spaces instead of underscores.
    """

    name: str
    higher_is_better: bool = True
    mean_of: int | None = None
    label: str = ""

    @property
    def shown(self) -> str:
        """Name in reports."""
        return self.label or self.name.replace("_", " ")

    def is_better(self, new: float, old: float) -> bool:
        """Whether ``new`` is strictly better than ``old``."""
        return new > old if self.higher_is_better else new < old

    def to_larger_better(self, value: float) -> float:
        """Return the value with the sign for which larger is better; applied twice, it returns the value."""
        return value if self.higher_is_better else -value

    def rank(self, value: float, loss: float) -> tuple[float, float]:
        """Return a sort key for results, larger is better: by the metric, then by the lower loss.

        NaN ranks last.
        """
        return tuple(
            -math.inf if math.isnan(part) else part for part in (self.to_larger_better(value), -loss)
        )  # type: ignore[return-value]


@dataclass(frozen=True)
class TaskData:
    """The data as a task receives it.

    Attributes:
        classes: class names; names of the values for regression.
        targets: visible labels of the training samples, see `Samples.targets`.
        input: size, channels, mean and deviation of the training inputs.
    """

    classes: tuple[str, ...]
    targets: NDArray[Any]
    input: InputSpec


@dataclass(frozen=True)
class LossOptions:
    """The recipe's ``loss`` section as a task receives it.

    Attributes:
        temperature: temperature of `Task.kd_loss`, which also receives it in each call; tasks without
            temperature can reject other values here.
        label_smoothing: share of a label that is spread over all classes, in `Task.task_loss`.
        class_weights: weight of each class, in both losses: ``balanced`` (inverse frequency), one weight per
            class, or None.
    """

    temperature: float = 1.0
    label_smoothing: float = 0.0
    class_weights: Literal["balanced"] | tuple[float, ...] | None = None


@dataclass(frozen=True)
class Alignment:
    """Mapping from the task's classes to a teacher's outputs.

    Attributes:
        groups: for each of the task's classes, the teacher's outputs (class numbers) for it; empty if the
            teacher does not know the class.
        named: number of the teacher's outputs with a class name; None if unknown.
    """

    groups: tuple[tuple[int, ...], ...]
    named: int | None = None

    @property
    def known(self) -> tuple[bool, ...]:
        """Whether the teacher knows each of the task's classes, ``[C]``."""
        return tuple(bool(group) for group in self.groups)

    def is_identity(self, outputs: int) -> bool:
        """Whether a teacher with this number of outputs has the task's classes in the same order."""
        return self.groups == tuple((index,) for index in range(outputs))


@dataclass(frozen=True)
class Merged:
    """Outputs of K teachers with weights, or one combined output.

    Attributes:
        outputs: K tensors ``[B, C, *]``.
        weights: ``[K, B, *]``, >= 0, sum 1 over K (all 0 if no teacher is used); None if combined.
        combined: ``[B, C, *]``, in the form of a teacher's output; None if weighted.
        known: ``[K, C]`` bool, the classes that each teacher knows; None: all.
    """

    outputs: tuple[Tensor, ...]
    weights: Tensor | None = None
    combined: Tensor | None = None
    known: Tensor | None = None


@dataclass(frozen=True)
class Details:
    """Details of a model's predictions that a report shows besides the metrics; empty ones are not shown.

    Attributes:
        per_class: one value for each class by metric (NaN: undefined).
        confusion: ``[C][C]`` counts, a row per class of the labels, a column per predicted class.
        reliability: (mean confidence, share of correct predictions, number) per bin of similar confidence.
        points: pairs (label, prediction) of some samples by target.
        counts: number of labels of each class: samples, pixels or boxes.
        by_chance: expected value by chance, by metric; for a calibration error, the value of a perfectly
            calibrated model with the same confidences.
    """

    per_class: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    confusion: tuple[tuple[int, ...], ...] = ()
    reliability: tuple[tuple[float, float, int], ...] = ()
    points: Mapping[str, tuple[tuple[float, float], ...]] = field(default_factory=dict)
    counts: tuple[int, ...] = ()
    by_chance: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Prediction:
    """A student's prediction for one sample, in the user's terms.

    Attributes:
        facts: texts and numbers by name; the first one is the prediction.
        scores: a number for each class or value, by name; may be empty.
        mask: ``[H, W]`` class numbers, with the size of the outputs; None for tasks without maps.
        boxes: (class name, score, x1, y1, x2, y2), corners relative to the sides; None for tasks without
            boxes.
    """

    facts: Mapping[str, str | float]
    scores: Mapping[str, float] = field(default_factory=dict)
    mask: NDArray[Any] | None = None
    boxes: tuple[tuple[str, float, float, float, float, float], ...] | None = None


@dataclass(frozen=True)
class Labels:
    """Labels of the samples of a training step.

    Attributes:
        target: labels that hold for a whole sample or element; missing where two labels share it. Strategies
            receive these.
        parts: labels with their shares ``[B, *]``, 0 to 1, which weigh the task loss; empty: only ``target``.
    """

    target: Tensor
    parts: tuple[tuple[Tensor, Tensor], ...] = ()
