"""Model providers, and the models that they build."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from mtkd_cli.interfaces.data import Column

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import nn


@dataclass(frozen=True)
class InputSpec:
    """Preprocessing of a view: images ``[B, C, H, W]`` with values 0 to 1, or table rows ``[B, F]``.

    Attributes:
        size: side of the square input, or height and width, in pixels; None: the data's. 1 for tables.
        mean: mean per channel, which is subtracted; empty: the data's.
        std: standard deviation per channel, which divides; empty: the data's.
        channels: 1 for gray, 3 for RGB; for a table the number of encoded columns, see ``columns``. None: the
            data's.
        interpolation: ``bilinear``, ``bicubic`` or ``nearest``.
        crop: share of the side kept by a center crop.
        range: values of black and white; mean and std are in these units.
        order: ``rgb`` or ``bgr``, for three channels; mean and std are in this order.
        columns: columns of the data's table. A number is normalized by the column's mean and std, and
            replaced
            by the mean if it is missing; a category is one-hot encoded.
        raw: whether the model takes table rows as in the data, see `Samples`.
    """

    size: int | tuple[int, int] | None = None
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
    """A request for a model of a provider.

    Attributes:
        model: name of the model, after ``provider:``.
        channels: channels of the model's input; for a table the number of encoded columns.
        size: side of the model's square input, or height and width, in pixels; 1 for a table.
        outputs: number of outputs that the task needs.
        pretrained: whether to load the provider's trained weights.
        columns: columns of the data's table.
        trusted: files that may run code while they are loaded, named by the user on the command line.
        background: whether class number 0 of a detector is the background, according to the recipe; it is not
            counted in ``outputs``.
        trust_code: whether Python code that an earlier run names may run, allowed by the user on the command
            line.
        detector: whether the task's outputs are boxes with class numbers, so that a model may return all of
            its outputs by name, see `Task.output_form`.
    """

    model: str
    channels: int
    size: int | tuple[int, int]
    outputs: int
    pretrained: bool
    columns: tuple[Column, ...] = ()
    trusted: frozenset[Path] = frozenset()
    background: bool = False
    trust_code: bool = False
    detector: bool = False

    def trusts(self, file: Path) -> bool:
        """Whether a file may run code while it is loaded."""
        return file.resolve() in self.trusted


@dataclass(frozen=True)
class RecordedRows:
    """Rows of a recording that ``mtkd store export`` wrote.

    Attributes:
        layout: their layout, as the export describes it.
        rows: ``[N]`` with the fields of the layout, or ``[N, C, *]`` if it has none.
    """

    layout: Mapping[str, Any]
    rows: NDArray[Any]


@dataclass(frozen=True)
class PrecomputedOutputs:
    """Precomputed outputs of a teacher, one row per sample.

    Attributes:
        file: path of the file, for messages.
        keys: N sample ids, or paths of the samples' files.
        rows: ``[N, C, *]`` float32 or float64, NaN for missing outputs; empty with ``recorded``.
        lines: N line or row numbers in the file, for messages.
        recorded: N rows of an exported recording, in one or more layouts.
    """

    file: Path
    keys: tuple[str, ...]
    rows: NDArray[Any]
    lines: Sequence[int]
    recorded: tuple[RecordedRows, ...] = ()


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
        module: module from preprocessed inputs ``[B, C, H, W]`` (or ``[B, F]``) to raw outputs.
        input: preprocessing of its inputs.
        head: dotted name of the last layer (``fc``); ``''`` if no single layer can be replaced.
        classes: class names in order; None if unknown.
        trained: whether its weights are trained.
        partly: whether only a part (an encoder) has trained weights, so that it cannot be a teacher.
        channels_last: whether it may run in this memory format: faster convolutions, the same outputs up to
            rounding. False for modules that call ``view`` on feature maps.
        scale: mean and deviation ``[C]`` that convert raw outputs to the target's units; None: no conversion.
        to_task_shape: `Task.to_task_shape` of its task; set by mtkd.
        resized: function that returns the model with another number of outputs, for models without ``head``.
        predictions: precomputed outputs of a model that takes sample ids instead of views
            (`TeacherSpec.by_id`); its module is never called.
        weights: number of weights and their size in bytes, for a model that another library runs and whose
            module has no parameters.
        outputs: number of class numbers of a detector's boxes; None if unknown.
        has_background: whether class number 0 of a detector is the background; None if unknown.
        normalizes: whether the module normalizes its inputs itself, so that it takes values from 0 to 1.
        hub: format in which its own library loads it from a model hub, for ``mtkd export --format hub``.
        notes: choices made while its weights were loaded, one line each, to show to the user.
    """

    module: nn.Module
    input: InputSpec
    head: str = ""
    classes: tuple[str, ...] | None = None
    trained: bool = False
    channels_last: bool = True
    scale: tuple[tuple[float, ...], tuple[float, ...]] | None = None
    to_task_shape: Callable[[Any], Any] | None = None
    resized: Callable[[int], Model] | None = None
    partly: bool = False
    predictions: PrecomputedOutputs | None = None
    weights: tuple[int, int] | None = None
    outputs: int | None = None
    has_background: bool | None = None
    normalizes: bool = False
    hub: HubFormat | None = None
    notes: tuple[str, ...] = ()


class ModelProvider(Protocol):
    """Builds the models of ``provider:model``; constructed without arguments.

    A provider whose models are files also has ``files(model: str) -> Iterable[Path]``, which returns every
    file that determines a model's outputs. Their content is part of the key of recorded outputs.
    """

    def build(self, request: ModelRequest) -> Model:
        """Return the model, on the CPU, in float32.

        A model with trained weights keeps its own number of outputs; others may have ``request.outputs``.

        Raises:
            UsageError: no such model; suggests the nearest name.
            DataError: the weights are not available; names the missing file.
        """
