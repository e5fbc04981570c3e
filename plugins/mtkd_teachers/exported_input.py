"""The input of an exported graph: its shape, and how to run it on any number of samples."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mtkd_cli.errors import DataError
from mtkd_cli.interfaces import InputSpec
from mtkd_cli.interfaces.precision import at_least_float32


@dataclass(frozen=True)
class GraphInput:
    """Images, channels first or last, or table rows.

    Attributes:
        shape: ``(B, C, H, W)``, ``(B, H, W, C)`` or ``(B, F)``; None for a dynamic dimension.
        dtype: data type of the input.
        max_batch: maximum batch size of a dynamic batch dimension; None: unlimited.
    """

    shape: tuple[int | None, ...]
    dtype: torch.dtype = torch.float32
    max_batch: int | None = None

    @property
    def is_channels_last(self) -> bool:
        """Whether it takes ``(B, H, W, C)``."""
        return len(self.shape) == 4 and self.shape[1] not in (1, 3) and self.shape[3] in (1, 3)

    def spec(self, path: Path) -> InputSpec:
        """Return the input specification.

        Args:
            path: file of the model, used in messages.

        Raises:
            DataError: only one side of the images is fixed.
        """
        if len(self.shape) == 2:
            return InputSpec(size=1, raw=True)
        _, *rest = self.shape
        channels, height, width = (rest[2], *rest[:2]) if self.is_channels_last else rest
        limits = (0.0, 255.0) if self.dtype == torch.uint8 else (0.0, 1.0)
        size = size_of(height, width, str(path))
        return InputSpec(size=size, channels=channels, mean=(0.0,), std=(1.0,), range=limits)

    def run(self, graph: Callable[[Tensor], Any], views: Tensor) -> Any:
        """Return the outputs for ``[B, C, H, W]`` or ``[B, F]``, in chunks if the batch size is limited.

        Args:
            graph: function from one chunk to an output, or to outputs by name.
            views: inputs.
        """
        last = self.is_channels_last
        pixels = views if self.dtype.is_floating_point else views.round()
        inputs = (pixels.permute(0, 2, 3, 1) if last else pixels).to(self.dtype).contiguous()
        count = self.shape[0] or self.max_batch or len(inputs)
        outputs = [
            _run_padded(graph, inputs[start : start + count], self.shape[0])
            for start in range(0, len(inputs), count)
        ]
        if isinstance(outputs[0], Mapping):
            names = outputs[0].keys()
            return {name: self._joined([part[name] for part in outputs], views) for name in names}
        return self._joined(outputs, views)

    def _joined(self, parts: list[Tensor], views: Tensor) -> Tensor:
        answer = at_least_float32(torch.cat(parts)).to(views.device)
        return answer.permute(0, 3, 1, 2) if self.is_channels_last and answer.dim() == 4 else answer


def _run_padded(graph: Callable[[Tensor], Any], chunk: Tensor, count: int | None) -> Any:
    """Return the outputs for a chunk that is padded to ``count`` samples with copies of its last one."""
    missing = 0 if count is None else count - len(chunk)
    padded = torch.cat([chunk, chunk[-1:].expand(missing, *chunk.shape[1:])]) if missing else chunk
    output = graph(padded)
    if isinstance(output, Mapping):
        return {name: value[: len(chunk)] for name, value in output.items()}
    return output[: len(chunk)]


def size_of(height: int | None, width: int | None, where: str) -> int | tuple[int, int] | None:
    """Return the size of a model's images: one number for a square, None if it is dynamic.

    Raises:
        DataError: only one side is fixed.
    """
    if height is None or width is None:
        if height == width:
            return None
        raise DataError(
            f"the model takes images of {height or 'any'} x {width or 'any'} pixels",
            where,
            "export it for a fixed or a dynamic size",
        )
    return height if height == width else (height, width)
