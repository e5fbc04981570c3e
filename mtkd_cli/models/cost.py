"""Measure the cost of a model: parameters, size and latency."""

from __future__ import annotations

import dataclasses
import time
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mtkd_cli.interfaces import Model
from mtkd_cli.models.preprocess import with_preprocessing


@dataclass(frozen=True)
class Cost:
    """The cost of a model; every field is None for a teacher that reads predictions from a file.

    Attributes:
        parameters: number of parameters.
        bytes: size of the parameters and buffers.
        latency_ms: median time for one sample on the CPU, in milliseconds.
        latency_p95_ms: 95th percentile of that time, in milliseconds.
    """

    parameters: int | None
    bytes: int | None
    latency_ms: float | None
    latency_p95_ms: float | None

    def as_dict(self) -> dict[str, Any]:
        """Return the cost as a JSON object."""
        return dataclasses.asdict(self)


def measure_cost(model: Model, example: Tensor) -> Cost:
    """Measure the cost of a model.

    Args:
        model: the model.
        example: one view, ``[1, C, H, W]`` or ``[1, F]``.
    """
    if model.predictions is not None:
        return Cost(None, None, None, None)
    module = with_preprocessing(model).eval()
    times: list[float] = []
    with torch.inference_mode():
        module(example)
        began = time.perf_counter()
        while len(times) < 30 and (len(times) < 5 or time.perf_counter() - began < 0.3):
            started = time.perf_counter()
            module(example)
            times.append(time.perf_counter() - started)
    parameters, size = count_weights(model)
    return Cost(
        parameters=parameters,
        bytes=size,
        latency_ms=round(float(np.median(times)) * 1000, 4),
        latency_p95_ms=round(float(np.quantile(times, 0.95)) * 1000, 4),
    )


def count_weights(model: Model) -> tuple[int, int]:
    """Return a model's number of parameters, and the size of its parameters and buffers in bytes."""
    if model.weights is not None:
        return model.weights
    parameters = list(model.module.parameters())
    size = sum(t.numel() * t.element_size() for t in [*parameters, *model.module.buffers()])
    return sum(p.numel() for p in parameters), size
