"""The summary that ends a run: one table, one sentence."""

from __future__ import annotations

import math

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from mtkd_cli.report import by_chance
from mtkd_cli.report.fitting_columns import fitting_columns
from mtkd_cli.report.metric_names import spelt
from mtkd_cli.report.run_result import RunResult
from mtkd_cli.report.score_cells import score_cells
from mtkd_cli.report.units import bytes_in_words, count_in_words, latency_title, milliseconds


def table(result: RunResult, width: int | None = None) -> Table:
    """Return the scores and costs of all models, the student first.

    Args:
        result: the report.
        width: width of the terminal, in characters; default: the actual width. The page of the run has the
            columns that do not fit.
    """
    metrics = list(result.scores.student)
    scores, costs = score_cells(result), result.costs.titled(result.strategy)
    cells = {
        "": list(scores),
        **{name: [row[index] for row in scores.values()] for index, name in enumerate(metrics)},
        "weights": [count_in_words(costs[title].parameters) for title in scores],
        "size": [bytes_in_words(costs[title].bytes or None) for title in scores],
        "latency": [milliseconds(costs[title].latency_ms) for title in scores],
    }
    primary = result.metric.name
    important = ["", primary, "size", "latency", *(name for name in metrics if name != primary), "weights"]
    titles = {name: spelt(name) if name in metrics else name for name in cells}
    width = width or Console().width
    longest = width // 2  # longer names of teachers are broken, so that a score beside them fits
    fits = {titles[name]: [cell[:longest] for cell in cells[name]] for name in important}
    fitting = fitting_columns(fits, width)
    kept = [name for name in cells if titles[name] in fitting]
    shown = Table(
        title=f"{result.run}: test split, {result.data.test} samples; {latency_title(costs.values())}",
        title_justify="left",
        header_style="bold",
        box=box.SIMPLE_HEAD,
        show_edge=False,
        pad_edge=False,
    )
    for name in kept:
        if name:
            shown.add_column(titles[name], justify="right", no_wrap=True)
        else:
            shown.add_column("", overflow="fold", max_width=longest)
    chances = {name: value for name, value in result.details.student.by_chance.items() if name in kept}
    notes = [by_chance.note(chances)]
    if any(math.isnan(score) for score in result.scores.student.values()):
        notes.append("undefined: all labels of the test split are the same")
    shown.caption = "\n".join(filter(None, notes)) or None
    shown.caption_justify = "left"
    styles = ["bold green", *["bold"] * len(result.baselines), "", *["dim"] * len(result.teachers)]
    for row, style in zip(zip(*(cells[name] for name in kept), strict=True), styles, strict=True):
        shown.add_row(*map(Text, row), style=style)
    return shown
