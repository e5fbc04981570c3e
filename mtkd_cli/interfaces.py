"""What a plugin implements, and what it is given. Imports no torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor, nn


@dataclass(frozen=True)
class Samples:
    """Samples of one split.

    Attributes:
        ids: N unique names, stable between runs.
        inputs: ``[M, C, H, W]`` uint8, an array or a memory map.
        targets: ``[N]`` class numbers; -1 where there is no label.
        metadata: columns of N values each (source, group), for strategies that route by them.
        rows: ``[N]``, the row of ``inputs`` that is each sample's; None: in order. So splits share one
            memory map instead of copying from it.
    """

    ids: tuple[str, ...]
    inputs: NDArray[np.uint8]
    targets: NDArray[np.int64]
    metadata: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    rows: NDArray[np.int64] | None = None

    def __len__(self) -> int:
        return len(self.ids)

    def images(self, where: slice | NDArray[np.int64]) -> NDArray[np.uint8]:
        """Return the inputs of some samples, ``[B, C, H, W]``."""
        chosen: NDArray[np.uint8] = self.inputs[where if self.rows is None else self.rows[where]]
        return chosen

    def take(self, indices: NDArray[np.int64]) -> Samples:
        """Return the samples at ``indices``, in that order."""
        metadata = {name: column[indices] for name, column in self.metadata.items()}
        ids = tuple(self.ids[i] for i in indices)
        rows = indices if self.rows is None else self.rows[indices]
        return Samples(ids, self.inputs, self.targets[indices], metadata, rows)


@dataclass(frozen=True)
class SourceData:
    """What a data source returns.

    Attributes:
        classes: class names in the order of the targets.
        train: samples to train on; validation is split off them if ``val`` is None.
        val: samples to validate on, if the source has them apart.
        test: samples to test on; split off ``train`` if None.
    """

    classes: tuple[str, ...]
    train: Samples
    val: Samples | None = None
    test: Samples | None = None


class DataSource(Protocol):
    """A data source; constructed with its options."""

    def load(self, cache: Path) -> SourceData:
        """Return the samples. ``cache`` is a folder for what is costly to make again.

        Raises:
            DataError: files that are missing, unreadable or contradict each other.
        """


@dataclass(frozen=True)
class InputSpec:
    """How a model wants a view (``[B, C, H, W]``, values 0 to 1).

    Attributes:
        size: side of its square input, in pixels; None takes the data's.
        mean: per channel, subtracted; empty takes the data's.
        std: per channel, divided by; empty takes the data's.
        channels: 1 grey or 3 RGB; None takes the data's.
        interpolation: ``bilinear``, ``bicubic`` or ``nearest``.
        crop: share of the side kept by a centre crop.
    """

    size: int | None = None
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    channels: int | None = None
    interpolation: str = "bilinear"
    crop: float = 1.0


@dataclass(frozen=True)
class ModelRequest:
    """What a provider is asked for.

    Attributes:
        model: the part after ``provider:``.
        channels: channels of the model's input.
        size: side of the model's input, in pixels.
        outputs: number of outputs the task needs.
        pretrained: whether to load the provider's trained weights.
    """

    model: str
    channels: int
    size: int
    outputs: int
    pretrained: bool


@dataclass(frozen=True)
class Model:
    """A model that a provider built.

    Attributes:
        module: ``[B, C, H, W]`` prepared by ``input`` to raw outputs (logits, values).
        input: how it wants its images.
        head: dotted name of its last layer (``fc``), ``''`` if it has none that can be replaced.
        classes: its class names in order, None if unknown.
        trained: whether its weights are trained.
        channels_last: whether it may run in that memory format: faster convolutions, the same
            answers up to rounding; not for modules that call ``view`` on feature maps.
    """

    module: nn.Module
    input: InputSpec
    head: str = ""
    classes: tuple[str, ...] | None = None
    trained: bool = False
    channels_last: bool = True


class ModelProvider(Protocol):
    """Builds the models of ``provider:model``; constructed without arguments."""

    def build(self, request: ModelRequest) -> Model:
        """Return the model, on the CPU, in float32.

        Without trained weights it may have ``request.outputs`` outputs at once; with them it keeps its own.

        Raises:
            UsageError: no such model (the nearest name is given).
            DataError: weights that cannot be had; says what to put where.
        """


@dataclass(frozen=True)
class Metric:
    """A measured quantity and its direction."""

    name: str
    higher_is_better: bool = True

    def better(self, new: float, old: float) -> bool:
        """Whether ``new`` is strictly better than ``old``."""
        return new > old if self.higher_is_better else new < old


class Task(Protocol):
    """What outputs mean. Constructed as ``factory(classes=..., **options)``.

    K teachers, B samples, C outputs; ``known [K, C]`` says which classes a teacher knows.
    """

    primary: Metric
    outputs: int

    def error(self, outputs: Sequence[Tensor], target: Tensor) -> Tensor:
        """Return each teacher's error against the label, ``[K, B]``; 0 where there is no label."""

    def uncertainty(self, outputs: Sequence[Tensor]) -> Tensor:
        """Return how unsure each teacher is, ``[K, B]``, 0 (sure) to 1."""

    def mix(self, outputs: Sequence[Tensor], weights: Tensor) -> Tensor:
        """Return the weighted mixture ``[B, C]``, as an output (log-probabilities for logits)."""

    def kd_loss(self, student_output: Tensor, merged: Merged, temperature: float) -> Tensor:
        """Return the loss to the merged teachers per element, ``[B]``, times temperature squared."""

    def task_loss(self, student_output: Tensor, target: Tensor) -> Tensor:
        """Return the loss to the labels per element, ``[B]``; 0 where there is no label."""

    def metrics(self, output: Tensor, target: Tensor) -> dict[str, float]:
        """Return the metrics of ``[N, C]`` raw outputs on labelled samples, the primary one first."""


@dataclass(frozen=True)
class AggregationBatch:
    """What a strategy is given: K teachers' answers on B samples.

    Attributes:
        outputs: K tensors ``[B, C]``, raw, aligned to the task's classes.
        teacher_names: K names, in the recipe's order.
        sample_ids: B names.
        temperature: the recipe's.
        progress: share of the run that is done, 0 to 1.
        task: the task, for `error`, `uncertainty` and `scores`.
        declared_weights: ``[K]`` of the recipe's ``weight`` keys (absent: 1), or None if no teacher has one.
        target: ``[B]``, -1 where there is no label; only for strategies that need ``labels``.
        labelled: ``[B]`` bool; only for strategies that need ``labels``.
        student_output: ``[B, C]`` without gradient; only for strategies that need ``student``.
        metadata: columns of B values each.
        draw: ``draw(name, shape)`` gives uniform numbers in [0, 1): a function of seed, step and name.
    """

    outputs: tuple[Tensor, ...]
    teacher_names: tuple[str, ...]
    sample_ids: tuple[str, ...]
    temperature: float
    progress: float
    task: Task
    declared_weights: Tensor | None = None
    target: Tensor | None = None
    labelled: Tensor | None = None
    student_output: Tensor | None = None
    metadata: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    draw: Callable[[str, tuple[int, ...]], Tensor] | None = None

    @cached_property
    def error(self) -> Tensor:
        """Each teacher's error against the label, ``[K, B]``; needs ``labels``."""
        if self.target is None:
            raise LookupError("labels were not asked for: declare needs=('labels',)")
        return self.task.error(self.outputs, self.target)

    @cached_property
    def uncertainty(self) -> Tensor:
        """How unsure each teacher is, ``[K, B]``, 0 to 1."""
        return self.task.uncertainty(self.outputs)

    @cached_property
    def scores(self) -> tuple[float, ...]:
        """Each teacher's primary metric on the labelled samples; needs ``labels``."""
        if self.target is None or self.labelled is None:
            raise LookupError("labels were not asked for: declare needs=('labels',)")
        target, labelled = self.target, self.labelled
        name = self.task.primary.name
        return tuple(self.task.metrics(out[labelled], target[labelled])[name] for out in self.outputs)

    def random(self, name: str, shape: tuple[int, ...]) -> Tensor:
        """Return uniform numbers in [0, 1) from counters: the same in every run and after a resume."""
        if self.draw is None:
            raise LookupError("no random numbers are drawn here")
        return self.draw(name, shape)

    def without(self, *needs: str) -> AggregationBatch:
        """Return the batch with what the named needs give taken away."""
        batch = self
        if "labels" in needs:
            batch = replace(batch, target=None, labelled=None)
        if "student" in needs:
            batch = replace(batch, student_output=None)
        return batch


@dataclass(frozen=True)
class Merged:
    """K teachers' answers and how much each counts, or one combined answer.

    Attributes:
        outputs: K tensors ``[B, C]``.
        weights: ``[K, B]``, >= 0, sum 1 over K (all 0 where no teacher speaks); None if combined.
        combined: ``[B, C]``, an output of the teachers' kind; None if weighted.
    """

    outputs: tuple[Tensor, ...]
    weights: Tensor | None = None
    combined: Tensor | None = None


class Aggregator(Protocol):
    """A strategy; constructed with its options.

    It has ``weights``, or ``combine`` where its target is no weighting of the teachers, and
    ``fit`` if its spec needs ``validation``.
    """

    def weights(self, batch: AggregationBatch) -> Tensor:
        """Return ``[K, B]``, finite, >= 0, sum 1 over K."""


class FittedAggregator(Aggregator, Protocol):
    """A strategy that learns something before training."""

    def fit(self, validation: AggregationBatch) -> None:
        """Learn from the validation split, as one batch, labels included."""


class CombiningAggregator(Protocol):
    """A strategy that is no weighting."""

    def combine(self, batch: AggregationBatch) -> Tensor:
        """Return one combined output ``[B, C]`` of the teachers' kind."""


class Tracker(Protocol):
    """Follows a run. Each method is called on the tracker's own thread."""

    def run_started(self, recipe: Mapping[str, Any], folder: Path) -> None:
        """Training begins."""

    def epoch_finished(self, row: Mapping[str, Any]) -> None:
        """One row was added to ``metrics.jsonl``."""

    def run_finished(self, report: Mapping[str, Any]) -> None:
        """The report is complete."""
