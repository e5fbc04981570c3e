"""Scores, times and sizes in words."""

from __future__ import annotations

from mtkd_cli.interfaces.significant_digits import shown

COSTS = ("parameters", "bytes", "latency_ms", "latency_p95_ms")


def score_in_words(score: float | None) -> str:
    """Return a score; ``undefined`` where it has no value, as R2 of labels that are all the same."""
    return shown(score)


def milliseconds(latency: float | None) -> str:
    """Return a latency in words; models that cannot be run have none."""
    return "-" if latency is None else f"{latency:.2f} ms"


def bytes_in_words(count: float | None) -> str:
    """Return ``1.2 MB`` for 1,200,000; a model that nothing is known of has no size."""
    if count is None:
        return "-"
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000 or unit == "GB":
            return f"{count:.0f} B" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    raise ValueError(count)
