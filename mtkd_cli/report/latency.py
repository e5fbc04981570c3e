"""Measured latency of a model."""

from __future__ import annotations

from dataclasses import dataclass

PYTORCH, ONNX_RUNTIME = "PyTorch", "ONNX Runtime"
"""Engines that run a model: eager PyTorch, and ONNX Runtime."""


@dataclass(frozen=True)
class Latency:
    """Measured latency of a model with its preprocessing.

    Attributes:
        engine: `PYTORCH` or `ONNX_RUNTIME`.
        batch: number of samples in a call.
        p50_ms: median time of a call, in milliseconds.
        p95_ms: 95th percentile of the time of a call, in milliseconds.
        device: where it was measured, `cpu` or `cuda`.
        threads: CPU threads while it was measured; None on other devices.
        calls: number of timed calls, after a warm-up.
    """

    engine: str
    batch: int
    p50_ms: float
    p95_ms: float
    device: str
    threads: int | None
    calls: int
