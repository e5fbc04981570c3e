"""Models exported by torch: ``exported:model.pt2`` of `torch.export`, ``exported:m.pt`` of TorchScript.

Both kinds of files are programs. `torch.export.load` unpickles and evaluates expressions; `torch.jit.load`
runs code in the file, whose operators can write files. So a file is only loaded if the user trusts it.
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
"""File names in an archive that identify its kind; the last one is written by torch before 2.8."""

UNBOUNDED = 2**31
"""Upper bound of a batch size that means no bound."""

FLOATS = (torch.float32, torch.float16, torch.bfloat16, torch.float64)


class ExportedProvider:
    """Loads trusted files only. Images are from 0 to 1 unless the recipe has ``input:``."""

    def files(self, model: str) -> list[Path]:
        """Return the file.

        Raises:
            DataError: the file does not exist.
        """
        path = Path(model)
        if not path.is_file():
            raise missing_path(path, f"exported:{model}")
        return [path]

    def build(self, request: ModelRequest) -> Model:
        """Return the model, with frozen weights.

        Raises:
            DataError: the file is not trusted, damaged, or not a model of one batch.
        """
        path = self.files(request.model)[0]
        kind = archive_kind(path)
        if not request.trusts(path):
            raise DataError(
                f"{path} is {kind}; loading it would run its code",
                where=f"exported:{request.model}",
                hint=f"if you trust its source: --trust-pickle {path}; or export the model to ONNX",
            )
        _check_archive(path)
        try:
            with quiet():
                loaded = (
                    _load_program(path)
                    if kind == PROGRAM
                    else _load_script(path, table=bool(request.columns))
                )
        except DataError:
            raise
        except Exception as error:  # damaged files raise all kinds of errors
            raise DataError(
                f"torch cannot load the file: {_first_line(error)}",
                str(path),
                "export it again with this version of torch",
            ) from error
        module = _Exported(*loaded, path)
        return Model(module, module.input.spec(path), trained=True, channels_last=False)


class _Exported(nn.Module):
    """Runs a loaded program. It stays as exported: it is not trained and has no training mode."""

    def __init__(self, inner: nn.Module, given: GraphInput, path: Path) -> None:
        super().__init__()
        self.inner, self.input, self.path = inner, given, path
        for parameter in inner.parameters():
            parameter.requires_grad_(False)

    def __deepcopy__(self, memo: dict[int, Any]) -> _Exported:
        return self  # it has no mutable state

    def train(self, mode: bool = True) -> _Exported:
        """Do nothing."""
        return self

    def forward(self, views: Tensor) -> Any:
        """Return the output for ``[B, C, H, W]`` or ``[B, F]``."""
        return self.input.run(self._run, views)

    def _run(self, part: Tensor) -> Tensor:
        try:
            with optimized_execution(False):  # otherwise the first outputs differ in their last bits
                answer: Any = self.inner(part)
        except Exception as error:  # the program may raise any error
            raise DataError(
                f"the model fails on {tuple(part.shape)} on {part.device.type}: {_first_line(error)}",
                where=str(self.path),
                hint="set input: size or channels, or use --device cpu if it was exported on the CPU",
            ) from error
        if not isinstance(answer, Tensor):
            raise DataError(
                f"the model returns a {type(answer).__name__}; a teacher must return one tensor",
                where=str(self.path),
                hint="export a module that returns only its logits or values",
            )
        return answer


def archive_kind(path: Path) -> str:
    """Return the kind of an archive, from the names of the files in it; their content is not read.

    Raises:
        DataError: it is neither kind.
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
            hint="give a file of weights with checkpoint: of an architecture",
        )
    return kinds[0]


def _check_archive(path: Path) -> None:
    """Check the checksums of the files in an archive, which torch does not always do.

    Raises:
        DataError: a file in the archive is damaged.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()
    except (OSError, zipfile.BadZipFile, zlib.error, ValueError, NotImplementedError) as error:
        damaged = str(error) or type(error).__name__
    if damaged:
        raise DataError(f"the file is damaged: {damaged}", str(path), "copy or export it again")


def _load_program(path: Path) -> tuple[nn.Module, GraphInput]:
    """Return the module and the input of a torch.export program."""
    with path.open("rb") as file:
        program = torch.export.load(file)
    nodes = {node.name: node.meta.get("val") for node in program.graph.nodes if node.op == "placeholder"}
    inputs = [nodes.get(str(name)) for name in program.graph_signature.user_inputs]
    first = inputs[0] if len(inputs) == 1 else None
    if not isinstance(first, Tensor) or first.dim() not in (2, 4) or first.dtype not in FLOATS:
        given = ", ".join(f"{list(i.shape)} {i.dtype}" if isinstance(i, Tensor) else str(i) for i in inputs)
        raise DataError(
            f"the model takes {given or 'nothing'}; a teacher takes one batch of images or table rows",
            where=str(path),
            hint="export it with one float input",
        )
    if any(_is_training_op(node) for node in program.graph.nodes):
        raise DataError(
            "the model was exported in training mode", str(path), "call model.eval() before the export"
        )
    shape = tuple(size if isinstance(size, int) else None for size in first.shape)
    return program.module(), GraphInput(shape, first.dtype, _max_batch(program, first.shape[0]))


def _max_batch(program: torch.export.ExportedProgram, size: Any) -> int | None:
    """Return the maximum batch size of a program; None if unlimited."""
    bounds = None if isinstance(size, int) else program.range_constraints.get(size.node.expr)
    return int(bounds.upper) if bounds is not None and bounds.upper < UNBOUNDED else None


def _is_training_op(node: torch.fx.Node) -> bool:
    """Whether an operator, such as dropout or batch norm, is in training mode."""
    schema = getattr(node.target, "_schema", None)
    names = [argument.name for argument in schema.arguments] if schema else []
    given = {**dict(zip(names, node.args, strict=False)), **node.kwargs}
    return given.get("train") is True or given.get("training") is True


def _load_script(path: Path, table: bool) -> tuple[nn.Module, GraphInput]:
    """Return the module and the input of a TorchScript archive; its shape is unknown."""
    module: nn.Module = torch.jit.load(path, map_location="cpu").eval()  # type: ignore[no-untyped-call]
    kinds = [parameter.dtype for parameter in module.parameters() if parameter.dtype in FLOATS]
    return module, GraphInput((None,) * (2 if table else 4), kinds[0] if kinds else torch.float32)


def _first_line(error: Exception) -> str:
    """Return an error in one line; TorchScript's interpreter puts the cause in the last one."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[-1] if "TorchScript" in lines[0] else lines[0]
