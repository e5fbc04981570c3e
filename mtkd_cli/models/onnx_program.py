"""Write a model to an ONNX file, and open one in ONNX Runtime."""

from __future__ import annotations

import contextlib
import importlib.util
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from mtkd_cli.errors import DataError, UsageError
from mtkd_cli.safe_loading.quiet_logs import quiet

OPSET = 18
INPUT, FRAME, OUTPUT = "inputs", "frame", "outputs"
PACKAGES = ("onnx", "onnxscript", "onnxruntime")

Source = Path | bytes
"""An ONNX file: its path, or its content."""


class Shippable(nn.Module):
    """A model with its preprocessing: uint8 images ``[B, C, S, S]`` or table rows ``[B, F]`` to outputs."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.student = module

    def forward(self, inputs: torch.Tensor) -> Any:
        """Return the model's outputs."""
        return self.student(inputs if inputs.dim() == 2 else inputs.float() / 255)


def missing_packages() -> list[str]:
    """Return the packages that ONNX needs and that are not installed."""
    return [name for name in PACKAGES if importlib.util.find_spec(name) is None]


def require_packages(where: str = "--format onnx") -> None:
    """Raise if a package is missing.

    Raises:
        UsageError: names the missing packages.
    """
    if missing := missing_packages():
        raise UsageError(f"ONNX needs {', '.join(missing)}", where, "pip install 'mtkd[onnx]'")


def export_program(
    module: nn.Module, example: NDArray[np.generic], single: bool, *more: torch.Tensor
) -> torch.export.ExportedProgram:
    """Return a module as a graph.

    Args:
        module: the module, in eval mode.
        example: a few inputs ``[B, ...]``.
        single: whether the graph takes one sample at a time.
        more: the other inputs, of one sample.
    """
    given = torch.from_numpy(np.ascontiguousarray(example[:1] if single else example))
    dynamic = None if single else ({0: torch.export.Dim.DYNAMIC}, *(None for _ in more))
    return torch.export.export(module, (given, *more), dynamic_shapes=dynamic, strict=False)


def to_onnx(program: torch.export.ExportedProgram, metadata: Mapping[str, str]) -> bytes:
    """Return a graph as the content of an ONNX file.

    Raises:
        DataError: the exporter returned no model.
    """
    count = len(program.graph_signature.user_inputs)
    onnx_program = torch.onnx.export(
        program,
        dynamo=True,
        verbose=False,
        opset_version=OPSET,
        input_names=[INPUT, FRAME][:count],
        output_names=[OUTPUT],
        external_data=False,
    )
    if onnx_program is None:
        raise DataError("the exporter returned no model", where="export")
    for node in onnx_program.model.graph.all_nodes():  # remove paths of source files
        node.metadata_props.clear()
        node.doc_string = None
    onnx_program.model.metadata_props.update(metadata)
    content: bytes = onnx_program.model_proto.SerializeToString()
    return content


def content_of(module: nn.Module, example: NDArray[np.generic], single: bool) -> bytes:
    """Return a module as the content of an ONNX file. An exporter may raise anything."""
    output = io.StringIO()  # the exporter prints the graph of a failure
    with quiet(), contextlib.redirect_stdout(output), contextlib.redirect_stderr(output):
        return to_onnx(export_program(module, example, single), {})


def open_session(file: Source, threads: int = 0) -> Any:
    """Return the session of ONNX Runtime for a file, on the CPU.

    Args:
        file: path or content of the file.
        threads: number of CPU threads; 0: chosen by ONNX Runtime.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    return onnxruntime.InferenceSession(file, sess_options=options, providers=["CPUExecutionProvider"])


def takes_single_samples(session: Any) -> bool:
    """Whether the file of a session has a fixed batch size of 1."""
    return bool(session.get_inputs()[0].shape[0] == 1)
