"""Scores of a run as texts: the same digits in the terminal, on the page and in the model card."""

from __future__ import annotations

from mtkd_cli.interfaces.significant_digits import format_number
from mtkd_cli.report import by_chance
from mtkd_cli.report.run_result import RunResult


def score_cells(result: RunResult) -> dict[str, list[str]]:
    """Return a text for each metric, by the titles of the models.

    A column has the digits that the number of test samples supports for the student's score. An ECE is
    followed by its value by chance.
    """
    scores, chances = result.scores.titled(result.strategy), by_chance.of_everyone(result)
    sizes, samples = result.scores.student, result.data.test
    return {
        title: [by_chance.cell(name, row[name], chances[title], sizes[name], samples) for name in sizes]
        for title, row in scores.items()
    }


def score_text(result: RunResult, value: float | None, sign: str = "") -> str:
    """Return a primary score, or with a ``sign`` a difference of scores, with the digits of the student's."""
    return format_number(value, result.scores.student[result.metric.name], sign, result.data.test)
