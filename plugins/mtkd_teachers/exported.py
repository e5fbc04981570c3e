"""A model as torch exports it: ``exported:model.pt2`` of `torch.export`, ``exported:m.pt`` of TorchScript.

Both kinds of file are programs. `torch.export.load` unpickles and evaluates expressions; `torch.jit.load`
builds no Python objects, but runs code of the file, whose operators can write files. So a file is only
opened if the user trusts it.
"""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.jit._fuser import optimized_execution

from mtkd_cli.errors import DataError, missing_path
from mtkd_cli.interfaces import Model, ModelRequest
from mtkd_cli.safe_loading.quiet_logs import quiet
from mtkd_teachers.exported_input import GraphInput

PROGRAM, SCRIPT = "a torch.export program", "a TorchScript archive"
MARKS = {"constants.pkl": SCRIPT, "archive_format": PROGRAM, "serialized_exported_program.json": PROGRAM}
"""File names within an archive that only one kind has; the last is of torch before 2.8."""

UNBOUNDED = 2**31
"""Samples that nobody shows at once."""

FLOATS = (torch.float32, torch.float16, torch.bfloat16, torch.float64)


class ExportedProvider:
    """Images as they come, 0 to 1, unless the recipe's ``input:`` says more. Loads trusted files only."""

    def files(self, model: str) -> list[Path]:
        """Return the file.

        Raises:
            DataError: there is none.
        """
        path = Path(model)
        if not path.is_file():
            raise missing_path(path, f"exported:{model}")
        return [path]

    def build(self, request: ModelRequest) -> Model:
        """Return the model, frozen."""
        path = self.files(request.model)[0]
        kind = kind_of(path)
        if not request.trusts(path):
            raise DataError(
                f"{path} is {kind}, and loading it would run code in it",
                where=f"exported:{request.model}",
                hint=f"if you trust where it comes from: --trust-pickle {path}; or export it to ONNX",
            )
        _refuse_damaged(path)
        try:
            with quiet():
                loaded = _program(path) if kind == PROGRAM else _script(path, table=bool(request.columns))
        except DataError:
            raise
        except Exception as error:  # a damaged file raises almost anything
            raise DataError(
                f"torch cannot load it: {_first_line(error)}", str(path), "export it again, with this torch"
            ) from error
        module = _Exported(*loaded, path)
        return Model(module, module.input.spec(path), trained=True, channels_last=False)


class _Exported(nn.Module):
    """Asks a loaded program. It stays as it was exported: neither trained nor switched to training."""

    def __init__(self, inner: nn.Module, given: GraphInput, path: Path) -> None:
        super().__init__()
        self.inner, self.input, self.path = inner, given, path
        for parameter in inner.parameters():
            parameter.requires_grad_(False)

    def __deepcopy__(self, memo: dict[int, Any]) -> _Exported:
        return self  # it has no state that changes

    def train(self, mode: bool = True) -> _Exported:
        """Change nothing."""
        return self

    def forward(self, views: Tensor) -> Tensor:
        """Return the output for ``[B, C, H, W]`` or ``[B, F]``."""
        return self.input.ask(self._run, views)

    def _run(self, part: Tensor) -> Tensor:
        try:
            with optimized_execution(False):  # the first answers as the later ones, to the bit
                answer: Any = self.inner(part)
        except Exception as error:  # what is in the file may raise anything
            raise DataError(
                f"the model fails on {tuple(part.shape)} on {part.device.type}: {_first_line(error)}",
                where=str(self.path),
                hint="set input: size, channels; or --device cpu, where it was exported there",
            ) from error
        if not isinstance(answer, Tensor):
            raise DataError(
                f"the model answers a {type(answer).__name__}; a teacher answers one tensor",
                where=str(self.path),
                hint="export a module that returns its logits or values alone",
            )
        return answer


def kind_of(path: Path) -> str:
    """Return what a file is, from the names of the files within it; nothing in it is opened.

    Raises:
        DataError: it is neither.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            names = {name.rpartition("/")[2] for name in archive.namelist()}
    except (OSError, zipfile.BadZipFile, ValueError, NotImplementedError):
        names = set()
    kinds = [kind for mark, kind in MARKS.items() if mark in names]
    if not kinds:
        raise DataError(
            f"neither {PROGRAM} nor {SCRIPT}",
            where=str(path),
            hint="weights alone go to an architecture's checkpoint:",
        )
    return kinds[0]


def _refuse_damaged(path: Path) -> None:
    """Raise if a file within the archive is not what was written, which torch does not always notice."""
    try:
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()
    except (OSError, zipfile.BadZipFile, zlib.error, ValueError, NotImplementedError) as error:
        damaged = str(error) or type(error).__name__
    if damaged:
        raise DataError(f"it is damaged: {damaged}", str(path), "copy it, or export it, again")


def _program(path: Path) -> tuple[nn.Module, GraphInput]:
    with path.open("rb") as file:
        program = torch.export.load(file)
    nodes = {node.name: node.meta.get("val") for node in program.graph.nodes if node.op == "placeholder"}
    inputs = [nodes.get(str(name)) for name in program.graph_signature.user_inputs]
    first = inputs[0] if len(inputs) == 1 else None
    if not isinstance(first, Tensor) or first.dim() not in (2, 4) or first.dtype not in FLOATS:
        given = ", ".join(f"{list(i.shape)} {i.dtype}" if isinstance(i, Tensor) else str(i) for i in inputs)
        raise DataError(
            f"the model takes {given or 'nothing'}; a teacher takes one batch of images or rows of a table",
            where=str(path),
            hint="export it with one input of floats",
        )
    if any(_trains(node) for node in program.graph.nodes):
        raise DataError("it was exported in training mode", str(path), "call model.eval() before the export")
    shape = tuple(size if isinstance(size, int) else None for size in first.shape)
    return program.module(), GraphInput(shape, first.dtype, _most(program, first.shape[0]))


def _most(program: torch.export.ExportedProgram, size: Any) -> int | None:
    """Return how many samples a program takes at most, None if any number."""
    bounds = None if isinstance(size, int) else program.range_constraints.get(size.node.expr)
    return int(bounds.upper) if bounds is not None and bounds.upper < UNBOUNDED else None


def _trains(node: torch.fx.Node) -> bool:
    """Whether an operator, a dropout or a BatchNorm, works as in training."""
    schema = getattr(node.target, "_schema", None)
    names = [argument.name for argument in schema.arguments] if schema else []
    given = {**dict(zip(names, node.args, strict=False)), **node.kwargs}
    return given.get("train") is True or given.get("training") is True


def _script(path: Path, table: bool) -> tuple[nn.Module, GraphInput]:
    module: nn.Module = torch.jit.load(path, map_location="cpu").eval()  # type: ignore[no-untyped-call]
    kinds = [parameter.dtype for parameter in module.parameters() if parameter.dtype in FLOATS]
    return module, GraphInput((None,) * (2 if table else 4), kinds[0] if kinds else torch.float32)


def _first_line(error: Exception) -> str:
    """Return an error in a line; TorchScript's interpreter says what happened in the last one."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[-1] if "TorchScript" in lines[0] else lines[0]
