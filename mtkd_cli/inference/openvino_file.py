"""Convert an ONNX file to OpenVINO's format, two files, and run it."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mtkd_cli.errors import DataError, UsageError, first_line
from mtkd_cli.files import atomic
from mtkd_cli.models.onnx_program import FRAME, INPUT, OUTPUT

ENDING, WEIGHTS = ".xml", ".bin"


def refuse_unfit(file: Path, int8: str) -> None:
    """Raise if a student cannot be exported.

    Args:
        file: path of the graph.
        int8: kind of the quantization; empty without.

    Raises:
        UsageError: OpenVINO is not installed, the file has another ending, or the kind is ``static``.
    """
    if importlib.util.find_spec("openvino") is None:
        raise UsageError("OpenVINO needs openvino", "--format openvino", "pip install 'mtkd[openvino]'")
    if file.suffix != ENDING:
        raise UsageError(f"the graph of OpenVINO ends in {ENDING}", "--output", f"{file.with_suffix(ENDING)}")
    if int8 == "static":
        raise UsageError(
            "OpenVINO rounds other values than a file of --int8 static says, and loses accuracy",
            where="--int8",
            hint="use --int8 qat, or --format onnx",
        )


def import_openvino() -> Any:
    """Return the module ``openvino``, imported without its telemetry: it reports each import to its makers.

    It ignores a missing package ``openvino_telemetry``, which None in `sys.modules` imitates.
    """
    name = "openvino_telemetry"
    if "openvino" not in sys.modules and name not in sys.modules:
        sys.modules[name] = None  # type: ignore[assignment]
    try:
        import openvino
    finally:
        if name in sys.modules and sys.modules[name] is None:
            del sys.modules[name]
    return openvino


def convert(source: Path) -> Path:
    """Convert an ONNX file to a graph ``NAME.xml``, with its metadata, and weights ``NAME.bin`` beside it.

    Args:
        source: the ONNX file.

    Returns:
        Path of the graph.

    Raises:
        DataError: OpenVINO cannot convert the file.
    """
    openvino = import_openvino()
    target = source.with_suffix(ENDING)
    try:
        openvino.save_model(openvino.Core().read_model(source), target, compress_to_fp16=False)
    except Exception as error:  # OpenVINO may raise anything
        raise _failure("convert", error) from error
    return target


def load(file: Path) -> Callable[..., Tensor]:
    """Return a function from inputs to the outputs of a file, in float32 on the CPU.

    Raises:
        DataError: OpenVINO cannot run the file.
    """
    openvino = import_openvino()
    try:
        # the default is bfloat16 on some CPUs
        model = openvino.Core().compile_model(file, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    except Exception as error:  # OpenVINO may raise anything
        raise _failure("run", error) from error

    def run(*inputs: NDArray[Any]) -> Tensor:
        given = dict(zip((INPUT, FRAME), map(np.ascontiguousarray, inputs), strict=False))
        return torch.from_numpy(model(given)[OUTPUT].copy())

    return run


def publish(part: Path, file: Path) -> None:
    """Move both files to their names, the graph last, or neither.

    Args:
        part: path of the graph.
        file: path that the graph gets.
    """
    weights = file.with_suffix(WEIGHTS)
    try:
        atomic.publish(part.with_suffix(WEIGHTS), weights)
        atomic.publish(part, file)
    except BaseException:
        weights.unlink(missing_ok=True)
        raise


def _failure(what: str, error: Exception) -> DataError:
    return DataError(
        f"OpenVINO cannot {what} this student: {first_line(error)}",
        where="--format openvino",
        hint="nothing was written; try --format onnx",
    )
