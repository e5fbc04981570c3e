"""Costs of a model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

Value = TypeVar("Value", int, float)


@dataclass(frozen=True)
class Costs:
    """Costs of a model; a field is None if it is unknown, as of a teacher that reads its answers from a file.

    Attributes:
        parameters: number of weights.
        bytes: size of the weights and buffers.
        latency_ms: median time of one sample, in milliseconds; of an ensemble the sum over its teachers.
        latency_p95_ms: 95th percentile of the time of one sample, in milliseconds.
        device: where the latency was measured, `cpu` or `cuda`; None if it was not, or not in one place.
        threads: CPU threads while it was measured; None on other devices and in files of earlier versions.
    """

    parameters: int | None = None
    bytes: int | None = None
    latency_ms: float | None = None
    latency_p95_ms: float | None = None
    device: str | None = None
    threads: int | None = None

    @property
    def measured_on(self) -> tuple[str | None, int | None]:
        """Device and threads: latencies of the same are comparable."""
        return self.device, self.threads


def together(models: Sequence[Costs]) -> Costs:
    """Return the costs of several models that answer one after the other."""
    places = {each.measured_on for each in models}
    device, threads = places.pop() if len(places) == 1 else (None, None)
    return Costs(
        parameters=_sum([each.parameters for each in models]),
        bytes=_sum([each.bytes for each in models]),
        latency_ms=_sum([each.latency_ms for each in models]),
        latency_p95_ms=_sum([each.latency_p95_ms for each in models]),
        device=device,
        threads=threads,
    )


def _sum(values: Sequence[Value | None]) -> Value | None:
    known = [value for value in values if value]  # 0 is unknown, as of a model without tensors
    return sum(known[1:], start=known[0]) if known and len(known) == len(values) else None
