"""Print an exported file and its quantized copies."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table

from mtkd_cli.cli.tables import table
from mtkd_cli.inference.int8 import SplitScore, Variant
from mtkd_cli.interfaces.significant_digits import format_number
from mtkd_cli.report.metric_names import spelt
from mtkd_cli.report.units import bytes_in_words, milliseconds


def score_table(variants: Sequence[Variant], metric: str) -> Table:
    """Return a row for each split and file: the score in ONNX Runtime, and its change by quantization."""
    splits = dict.fromkeys(name for each in variants for name in each.scores or {})
    rows = [
        [each.kind, split, *_cells(each.scores[split])]
        for split in splits
        for each in variants
        if each.scores and split in each.scores
    ]
    columns = ["file", "split", spelt(metric), "95 % interval", "change", "95 % interval"]
    return table(rows, columns, "Scores in ONNX Runtime")


def cost_table(variants: Sequence[Variant]) -> Table:
    """Return a row for each file: size, and latency of one sample in ONNX Runtime."""
    threads = next((each.threads for each in variants if each.threads), 1)
    rows = [
        [each.kind, bytes_in_words(each.bytes or None), milliseconds(each.latency_ms), each.failed]
        for each in variants
    ]
    has_failures = any(each.failed for each in variants)
    columns = ["file", "size", "latency", *(["failed"] if has_failures else [])]
    title = f"Size, and median latency of 1 sample ({threads} thread{'s' if threads > 1 else ''})"
    return table([row[: len(columns)] for row in rows], columns, title)


def _cells(found: SplitScore) -> list[str]:
    size = found.score or 0.0
    return [
        "-" if found.score is None else format_number(found.score),
        _span(found.interval, size),
        "-" if found.change is None else format_number(found.change, size, "+"),
        _span(found.change_interval, size),
    ]


def _span(ends: tuple[float, float] | None, size: float) -> str:
    return " to ".join(format_number(end, size) for end in ends) if ends else "-"
