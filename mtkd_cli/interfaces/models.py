"""Providers of models, and the models that they build."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from mtkd_cli.interfaces.data import Column

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import nn


@dataclass(frozen=True)
class InputSpec:
    """How a model wants a view (``[B, C, H, W]``, values 0 to 1; or ``[B, F]``, a table's rows).

    Attributes:
        size: side of its square input, in pixels; None takes the data's. 1 for tables.
        mean: per channel, subtracted; empty takes the data's.
        std: per channel, divided by; empty takes the data's.
        channels: 1 grey or 3 RGB; for a table the numbers that its columns become, see `columns`.
            None takes the data's.
        interpolation: ``bilinear``, ``bicubic`` or ``nearest``.
        crop: share of the side kept by a centre crop.
        range: what 0 and 1 become, before mean and std, which are in these units.
        order: ``rgb`` or ``bgr``, where there are three channels; mean and std are in this order.
        columns: a table's, taken from the data. A number is normalised by its own mean and std and is
            the mean where it is missing; a category becomes one number for each of its names.
        raw: whether it takes a table's rows as the data has them, see `Samples`.
    """

    size: int | None = None
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    channels: int | None = None
    interpolation: str = "bilinear"
    crop: float = 1.0
    range: tuple[float, float] = (0.0, 1.0)
    order: str = "rgb"
    columns: tuple[Column, ...] = ()
    raw: bool = False


@dataclass(frozen=True)
class ModelRequest:
    """What a provider is asked for.

    Attributes:
        model: the part after ``provider:``.
        channels: channels of the model's input; for a table the numbers that its columns become.
        size: side of the model's input, in pixels; 1 for a table.
        outputs: number of outputs the task needs.
        pretrained: whether to load the provider's trained weights.
        columns: a table's columns.
        trusted: files whose loading may run code in them; the user names them on the command line.
        background: of a detector, whether the recipe says that its class number 0 is the background, which is
            not among ``outputs``.
        trust_code: whether Python code that an earlier run names may run; the user says so there too.
    """

    model: str
    channels: int
    size: int
    outputs: int
    pretrained: bool
    columns: tuple[Column, ...] = ()
    trusted: frozenset[Path] = frozenset()
    background: bool = False
    trust_code: bool = False

    def trusts(self, file: Path) -> bool:
        """Whether code in a file may run."""
        return file.resolve() in self.trusted


@dataclass(frozen=True)
class Predictions:
    """Answers that were made elsewhere, one for each sample.

    Attributes:
        file: where they are, for messages.
        keys: of each the sample's id, its file's name, or that without the ending; ``[N]``.
        rows: ``[N, C, *]`` float32 or float64, NaN where there is no answer.
        lines: where each stands in the file, for messages; ``[N]``.
    """

    file: Path
    keys: tuple[str, ...]
    rows: NDArray[Any]
    lines: Sequence[int]


@dataclass(frozen=True)
class HubFormat:
    """How a model's own library loads it from a folder, or from a model hub.

    Attributes:
        library: name of the library on model hubs.
        config: returns the content of ``config.json`` for an input and the class names; None if the
            library cannot express the input.
        usage: Python code that loads the model; ``{folder}`` stands for the folder or repository.
    """

    library: str
    config: Callable[[InputSpec, Sequence[str]], dict[str, Any] | None]
    usage: str


@dataclass(frozen=True)
class Model:
    """A model that a provider built.

    Attributes:
        module: ``[B, C, H, W]`` (or ``[B, F]``) prepared by ``input`` to raw outputs.
        input: how it wants its inputs.
        head: dotted name of its last layer (``fc``), ``''`` if it has none that can be replaced.
        classes: its class names in order, None if unknown.
        trained: whether its weights are trained.
        partly: whether trained weights are those of a part alone (an encoder): they make no teacher.
        channels_last: whether it may run in that memory format: faster convolutions, the same
            answers up to rounding; not for modules that call ``view`` on feature maps.
        scale: mean and deviation ``[C]`` that bring its raw outputs to the target's units; None if
            they are in them.
        shaped: `Task.shaped` of the task that it serves; set by the engine.
        resized: returns the model with a number of outputs, for one that has no single ``head``.
        predictions: what it answers, of one that is asked by sample id (`TeacherSpec.by_id`) and shown no
            views; its module is never called.
        weights: how many numbers its weights are, and their bytes, of one whose module does not hold them
            as parameters: another library runs it.
        outputs: of a detector, how many class numbers its boxes may have; None: unknown.
        has_background: of a detector, whether class number 0 is the background; None: unknown.
        normalizes: whether the module normalizes its inputs itself: it wants plain values from 0 to 1.
        hub: how its own library loads it from a model hub, for ``mtkd export --format hub``.
    """

    module: nn.Module
    input: InputSpec
    head: str = ""
    classes: tuple[str, ...] | None = None
    trained: bool = False
    channels_last: bool = True
    scale: tuple[tuple[float, ...], tuple[float, ...]] | None = None
    shaped: Callable[[Any], Any] | None = None
    resized: Callable[[int], Model] | None = None
    partly: bool = False
    predictions: Predictions | None = None
    weights: tuple[int, int] | None = None
    outputs: int | None = None
    has_background: bool | None = None
    normalizes: bool = False
    hub: HubFormat | None = None


class ModelProvider(Protocol):
    """Builds the models of ``provider:model``; constructed without arguments.

    A provider whose models are files also has ``files(model: str) -> Iterable[Path]``: every file that
    decides what a model answers. Their content is part of what recorded answers are known by.
    """

    def build(self, request: ModelRequest) -> Model:
        """Return the model, on the CPU, in float32.

        Without trained weights it may have ``request.outputs`` outputs at once; with them it keeps its own.

        Raises:
            UsageError: no such model (the nearest name is given).
            DataError: weights that cannot be had; says what to put where.
        """
