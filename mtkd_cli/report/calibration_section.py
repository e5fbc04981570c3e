"""The calibration section of a report: the share of right answers by confidence, with counts."""

from __future__ import annotations

from mtkd_cli.interfaces.significant_digits import format_number
from mtkd_cli.report.charts import diagonal
from mtkd_cli.report.compared_answers import compared_answers
from mtkd_cli.report.page import Figure, Grid, Section
from mtkd_cli.report.run_result import RunResult

LARGEST, SMALLEST = 7.0, 2.0
"""Radius of the dot of the bin with the most answers, and minimum radius."""
FEWEST = 5
"""Minimum number of answers of a bin that is drawn."""


def calibration_section(report: RunResult) -> Section | None:
    """Return the section; None if the task has no confidences."""
    found = {
        name: answers.reliability for name, answers in compared_answers(report).items() if answers.reliability
    }
    if not found:
        return None
    drawn_bins = {name: [each for each in bins if each[2] >= FEWEST] for name, bins in found.items()}
    points = {
        name: [(confidence, right) for confidence, right, _ in bins] for name, bins in drawn_bins.items()
    }
    largest = max(count for bins in found.values() for *_, count in bins)
    radii = {
        name: [max(LARGEST * (count / largest) ** 0.5, SMALLEST) for *_, count in bins]
        for name, bins in drawn_bins.items()
    }
    drawn = diagonal("reliability", points, "confidence", "share that is right", dots=False, radii=radii)
    below = "Below the dashed line a model is overconfident, above it underconfident."
    caption = f"{below} The area of a dot is the number of answers; "
    caption += f"bins with fewer than {FEWEST} are not drawn."
    first, bins = next(iter(found.items()))
    rows = [
        [f"{confidence:.2f}", format_number(right, 1, samples=count), f"{count:,}"]
        for confidence, right, count in bins
    ]
    header = ["mean confidence", "share that is right", "answers"]
    return Section(
        "Calibration",
        grids=[Grid(rows, header, f"Answers of the {first}.")],
        figures=[Figure(drawn, caption)],
    )
