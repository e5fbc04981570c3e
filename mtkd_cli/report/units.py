"""Counts, times and sizes in words."""

from __future__ import annotations

from collections.abc import Iterable

from mtkd_cli.report.costs import Costs


def count_in_words(count: int | None) -> str:
    """Return ``1,200`` for 1200, and ``-`` for an unknown number or for 0, as of a model without tensors."""
    return f"{count:,}" if count else "-"


def rounded_count(number: float) -> str:
    """Return a number with about two digits: ``4.5 million``."""
    for factor, word in ((1e9, " billion"), (1e6, " million")):
        if number >= factor:
            return f"{number / factor:.3g}{word}"
    return f"{number:,.0f}"


def milliseconds(latency: float | None) -> str:
    """Return a latency in words, ``-`` if it is unknown."""
    return "-" if latency is None else f"{latency:.2f} ms"


def latency_title(models: Iterable[Costs], name: str = "latency") -> str:
    """Return the heading of a column of latencies: ``latency (cpu, 2 threads, 1 sample)``.

    Where models were measured in different places, all of these.
    """
    places = dict.fromkeys(measured_on(costs) for costs in models if costs.latency_ms is not None)
    return f"{name} ({', '.join([' or '.join(places), '1 sample'] if places else ['1 sample'])})"


def measured_on(costs: Costs) -> str:
    """Return where a latency was measured: ``cpu, 2 threads``."""
    if costs.device is None:
        return "different devices"
    if costs.threads is None:
        return costs.device
    return f"{costs.device}, {costs.threads} thread{'s' if costs.threads > 1 else ''}"


def bytes_in_words(count: float | None) -> str:
    """Return ``1.2 MB`` for 1,200,000, and ``-`` for an unknown size."""
    if count is None:
        return "-"
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000 or unit == "GB":
            return f"{count:.0f} B" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    raise ValueError(count)
