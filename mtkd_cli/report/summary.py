"""The summary that ends a run: one table, one sentence."""

from __future__ import annotations

import math

from rich import box
from rich.table import Table
from rich.text import Text

from mtkd_cli.report import by_chance
from mtkd_cli.report.metric_names import spelt
from mtkd_cli.report.run_result import RunResult
from mtkd_cli.report.score_cells import score_cells
from mtkd_cli.report.units import bytes_in_words, count_in_words, latency_title, milliseconds


def table(result: RunResult) -> Table:
    """Return the scores and costs of all models, the student first."""
    metrics = list(result.scores.student)
    scores, costs = score_cells(result), result.costs.titled(result.strategy)
    shown = Table(
        title=f"{result.run}: test split, {result.data.test} samples; {latency_title(costs.values())}",
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
    notes = [by_chance.note(result.details.student.by_chance)]
    if any(math.isnan(score) for score in result.scores.student.values()):
        notes.append("undefined: all labels of the test split are the same")
    shown.caption = "\n".join(filter(None, notes)) or None
    shown.caption_justify = "left"
    styles = ["bold green", *["bold"] * len(result.baselines), "", *["dim"] * len(result.teachers)]
    for title, style in zip(scores, styles, strict=True):
        shown.add_row(
            Text(title),
            *scores[title],
            count_in_words(costs[title].parameters),
            bytes_in_words(costs[title].bytes or None),
            milliseconds(costs[title].latency_ms),
            style=style,
        )
    return shown
