"""What a model costs: parameters, bytes and latency."""

from __future__ import annotations

import dataclasses
import time
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mtkd_cli.interfaces import Model
from mtkd_cli.models.preprocess import prepared


@dataclass(frozen=True)
class Facts:
    """What a model costs. Latency is that of one sample on the CPU, over repeated calls, in milliseconds.

    Of a model behind a file of predictions nothing is known: None.
    """

    parameters: int | None
    bytes: int | None
    latency_ms: float | None
    latency_p95_ms: float | None

    def as_dict(self) -> dict[str, Any]:
        """Return the facts for a report."""
        return dataclasses.asdict(self)


def facts(model: Model, example: Tensor) -> Facts:
    """Measure a model on one view, ``[1, C, H, W]`` or ``[1, F]``."""
    if model.predictions is not None:
        return Facts(None, None, None, None)
    module = prepared(model).eval()
    times: list[float] = []
    with torch.inference_mode():
        module(example)
        began = time.perf_counter()
        while len(times) < 30 and (len(times) < 5 or time.perf_counter() - began < 0.3):
            started = time.perf_counter()
            module(example)
            times.append(time.perf_counter() - started)
    parameters, held = weights_of(model)
    return Facts(
        parameters=parameters,
        bytes=held,
        latency_ms=round(float(np.median(times)) * 1000, 4),
        latency_p95_ms=round(float(np.quantile(times, 0.95)) * 1000, 4),
    )


def weights_of(model: Model) -> tuple[int, int]:
    """Return how many parameters a model has, and the bytes of these and of its buffers."""
    if model.weights is not None:
        return model.weights
    parameters = list(model.module.parameters())
    held = sum(t.numel() * t.element_size() for t in [*parameters, *model.module.buffers()])
    return sum(p.numel() for p in parameters), held
