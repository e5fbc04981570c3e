"""Run a module in ONNX Runtime: fused operations and planned memory, so it is faster than torch on a CPU."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from mtkd_cli.errors import DataError, first_line
from mtkd_cli.models import onnx_program

TOLERANCE = 1e-4
"""Maximum difference to torch's outputs, relative to their largest absolute value."""


class OnnxModule(nn.Module):
    """A module that ONNX Runtime runs on one CPU thread; several threads may call it at once."""

    def __init__(self, content: bytes) -> None:
        super().__init__()
        self.session: Any = onnx_program.open_session(content, threads=1)
        self.input: str = self.session.get_inputs()[0].name

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the outputs for inputs ``[B, C, H, W]`` or ``[B, F]``."""
        return torch.from_numpy(self.session.run(None, {self.input: inputs.numpy()})[0])


def to_onnx_module(module: nn.Module, example: Tensor) -> tuple[OnnxModule, float]:
    """Convert a module; return also the largest absolute difference of its outputs on an example.

    Args:
        module: a module on the CPU, in eval mode, with one tensor as output.
        example: a batch of its inputs.

    Raises:
        DataError: it cannot be converted, or the outputs differ by more than `TOLERANCE`.
    """
    example = example if len(example) > 1 else example.repeat(2, *(1,) * (example.dim() - 1))
    with torch.no_grad():
        expected = module(example)
        if not isinstance(expected, Tensor):
            raise DataError(f"it returns a {type(expected).__name__}, not one tensor")
        try:
            converted = OnnxModule(onnx_program.content_of(module, example.numpy(), single=False))
            output = converted(example)
        except Exception as error:  # the exporter and ONNX Runtime may raise anything
            raise DataError(f"it cannot be converted to ONNX: {first_line(error)}") from error
    difference = (output - expected).abs().max().item()
    # Written so that NaN counts as a difference.
    if not difference <= TOLERANCE * max(1.0, expected.abs().max().item()):
        raise DataError(f"its outputs in ONNX Runtime differ by {difference:.2g}")
    return converted, difference
