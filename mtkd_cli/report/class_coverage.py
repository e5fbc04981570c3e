"""Which teachers know each class, and how well; for runs whose teachers know different classes."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping
from dataclasses import dataclass

from mtkd_cli.interfaces.significant_digits import format_number
from mtkd_cli.report.metric_names import spelt
from mtkd_cli.report.number import Number
from mtkd_cli.report.page import Grid, Section

MIN_LABELS = 5
"""Minimum number of validation labels of a class to call its teachers weak."""

WEAK_SHARE = 0.5
"""Score of a weak class as a share of the median class: the best of its teachers is below it."""


@dataclass(frozen=True)
class TaughtClass:
    """One class of the data.

    Attributes:
        name: its name.
        labels: number of its labels on validation; None if the task does not count them.
        teachers: score on validation of each teacher that knows the class, by name.
    """

    name: str
    labels: int | None
    teachers: Mapping[str, Number]

    @property
    def best(self) -> float:
        """Score of its best teacher; NaN if no teacher knows it, or none is measured."""
        return max((score for score in self.teachers.values() if not math.isnan(score)), default=math.nan)

    @property
    def is_measured(self) -> bool:
        """Whether there are enough labels for a score."""
        return not math.isnan(self.best) and (self.labels is None or self.labels >= MIN_LABELS)


@dataclass(frozen=True)
class ClassCoverage:
    """The classes that the teachers of a run know.

    Attributes:
        metric: name of the scores per class.
        teachers: names of all teachers, in the order of the recipe.
        classes: the classes, in the order of the data.
    """

    metric: str
    teachers: tuple[str, ...]
    classes: tuple[TaughtClass, ...]

    def warnings(self) -> dict[str, str]:
        """Return what is wrong with each class that no teacher, or only weak teachers, know; in words.

        A class is weak if its best teacher scores less than `WEAK_SHARE` of the median over all classes of
        the best teacher's score. Classes with fewer than `MIN_LABELS` labels are not judged.
        """
        measured = [each.best for each in self.classes if each.is_measured]
        typical = statistics.median(measured) if measured else math.nan
        found = {}
        for each in self.classes:
            if not each.teachers:
                found[each.name] = "no teacher knows it; the student learns it from labels only"
            elif each.is_measured and each.best < WEAK_SHARE * typical:
                who = (
                    f"its only teacher, {next(iter(each.teachers))}, is weak"
                    if len(each.teachers) == 1
                    else "all its teachers are weak"
                )
                scores = [format_number(score, 1, samples=each.labels or 0) for score in (each.best, typical)]
                labels = "" if each.labels is None else f" on {each.labels} validation labels"
                found[each.name] = (
                    f"{who}: {spelt(self.metric)} {scores[0]}{labels}, the median class has {scores[1]}"
                )
        return found


def coverage_section(coverage: ClassCoverage | None) -> Section | None:
    """Return the table of a report; None if every teacher knows every class."""
    if coverage is None:
        return None
    rows = [
        [
            each.name,
            "-" if each.labels is None else f"{each.labels:,}",
            *(_cell(each, name) for name in coverage.teachers),
        ]
        for each in coverage.classes
    ]
    caption = (
        f"{spelt(coverage.metric)} on validation of each teacher that knows the class. A class is weak if "
        f"its best teacher has less than {WEAK_SHARE:g} times the median over all classes; classes with "
        f"fewer than {MIN_LABELS} labels are not judged."
    )
    return Section(
        "Who taught each class",
        text=[f"Class {name}: {warning}." for name, warning in coverage.warnings().items()],
        grids=[Grid(rows, ["class", "labels", *coverage.teachers], caption)],
    )


def _cell(taught: TaughtClass, teacher: str) -> str:
    """Return a teacher's score on a class, ``-`` if it does not know the class."""
    if teacher not in taught.teachers:
        return "-"
    score = taught.teachers[teacher]
    return "no labels" if math.isnan(score) else format_number(score, 1, samples=taught.labels or 0)
