"""The summary that ends a run: one table, one sentence."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich import box
from rich.table import Table
from rich.text import Text

from mtkd_cli.report import by_chance
from mtkd_cli.report.metric_names import spelt
from mtkd_cli.report.units import COSTS, bytes_in_words, milliseconds


def table(report: Mapping[str, Any]) -> Table:
    """Return everyone's scores and costs, the student first."""
    scores = report["scores"]
    metrics = [name for name in scores["student"] if name not in COSTS]
    shown = Table(
        title=f"{report['run']}: test split, {report['data']['test']} samples; latency on the CPU",
        title_justify="left",
        header_style="bold",
        box=box.SIMPLE_HEAD,
        show_edge=False,
        pad_edge=False,
    )
    shown.add_column("", overflow="fold", min_width=10)
    for name in metrics:
        shown.add_column(spelt(name), justify="right", no_wrap=True)
    for name in ("weights", "size", "latency"):
        shown.add_column(name, justify="right", no_wrap=True)
    notes = [by_chance.note(by_chance.of_everyone(report)[0])]
    if any(scores["student"][name] is None for name in metrics):
        notes.append("undefined: the labels of this split give it no value, as they are all the same")
    shown.caption = "\n".join(filter(None, notes)) or None
    shown.caption_justify = "left"
    rows = [
        ("student, distilled", scores["student"], "bold green"),
        ("student, alone", scores["alone"], "bold"),
    ]
    rows += [(f"ensemble ({report['strategy']})", scores["ensemble"], "")]
    rows += [(f"teacher {name}", row, "dim") for name, row in scores["teachers"].items()]
    chances = by_chance.of_everyone(report)
    there = [(label, row, style) for label, row, style in rows if row is not None]
    for (label, row, style), chance in zip(there, chances, strict=True):
        shown.add_row(
            Text(label),
            *(by_chance.cell(m, row[m], chance) for m in metrics),
            count_in_words(row["parameters"]),
            bytes_in_words(row["bytes"]),
            milliseconds(row["latency_ms"]),
            style=style,
        )
    return shown


def count_in_words(count: int | None) -> str:
    """Return ``1,200`` for 1200; a model that nothing is known of has no count."""
    return "-" if count is None else f"{count:,}"
