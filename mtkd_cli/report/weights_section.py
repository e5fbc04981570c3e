"""The weights of the teachers: drawn where they vary, in a sentence where they do not."""

from __future__ import annotations

from collections.abc import Sequence

from mtkd_cli.report.charts import bars, lines, matrix
from mtkd_cli.report.page import Figure, Section
from mtkd_cli.report.run_result import RunResult

MAX_CLASSES = 40
"""Maximum number of classes whose weights are drawn."""
SAME = 0.005
"""Weights that differ by less are the same, as they are written with two decimals."""


def weights_section(report: RunResult) -> Section | None:
    """Return the section; None if the strategy has no weights."""
    weights = report.weights
    if not weights:
        return None
    names = [teacher.name for teacher in report.teachers]
    curve = [row for row in report.student.curve if f"weight/{names[0]}" in row]
    series = {name: [(row["step"], row[f"weight/{name}"]) for row in curve] for name in names}
    in_training = [[series[name][row][1] for name in names] for row in range(len(curve))]
    by_class = list(weights.per_class.values())
    title = "How much each teacher counted"
    if _are_same([weights.mean, *by_class, *in_training]):
        each = ", ".join(f"{name} {mean:.2f}" for name, mean in zip(names, weights.mean, strict=True))
        where = [
            where
            for where, given in (("for all classes", by_class), ("throughout training", in_training))
            if given
        ]
        same = f" The weights are the same {' and '.join(where)}." if where else ""
        return Section(title, text=[f"Weights: {each}.{same}"])
    chart = bars("mean weight of each teacher", dict(zip(names, weights.mean, strict=True)))
    figures = [Figure(chart, "Mean weight of each teacher on validation.")]
    if len(curve) > 1 and not _are_same(in_training):
        drawn = lines("weights while training", series, "optimizer step", "weight")
        figures.append(
            Figure(drawn, "Mean weight of each teacher in the training batch before each evaluation.")
        )
    if by_class and len(by_class) <= MAX_CLASSES and not _are_same(by_class):
        drawn = matrix("weight of each teacher by class", list(weights.per_class), names, by_class)
        figures.append(
            Figure(drawn, "Mean weight of each teacher (columns) on validation samples of a class (rows).")
        )
    return Section(title, figures=figures)


def _are_same(rows: Sequence[Sequence[float]]) -> bool:
    """Whether each teacher has the same weight in all rows."""
    return all(max(column) - min(column) < SAME for column in zip(*rows, strict=True))
