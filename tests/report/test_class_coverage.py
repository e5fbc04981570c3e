"""Which teacher taught each class: the table of a report, and warnings about weak classes."""

from __future__ import annotations

import math

import pytest

from mtkd_cli.report.class_coverage import ClassCoverage, TaughtClass, coverage_section


def coverage(*classes: TaughtClass) -> ClassCoverage:
    good = (TaughtClass("a", 20, {"x": 0.8}), TaughtClass("b", 20, {"x": 0.6, "y": 0.1}))
    return ClassCoverage("ap", ("x", "y", "z"), (*good, TaughtClass("c", 20, {"y": 0.5}), *classes))


def test_a_class_of_one_weak_teacher_is_reported() -> None:
    found = coverage(TaughtClass("d", 12, {"z": 0.25})).warnings()
    assert found == {
        "d": "its only teacher, z, is weak: AP 0.25 on 12 validation labels, the median class has 0.55"
    }


@pytest.mark.parametrize(
    ("taught", "text"),
    [
        (TaughtClass("d", 9, {"x": 0.1, "z": 0.2}), "all its teachers are weak"),
        (TaughtClass("d", 0, {}), "no teacher knows it"),
        (TaughtClass("d", None, {"z": 0.1}), "its only teacher"),
        (TaughtClass("d", 9, {"x": 0.1, "z": 0.4}), ""),  # one of its teachers is good enough
        (TaughtClass("d", 4, {"z": 0.0}), ""),  # too few labels
        (TaughtClass("d", 0, {"z": math.nan}), ""),
    ],
)
def test_classes_with_few_labels_or_a_good_teacher_are_not(taught: TaughtClass, text: str) -> None:
    found = coverage(taught).warnings()
    assert (text in found["d"]) if text else not found


def test_the_table_tells_unknown_from_unmeasured() -> None:
    section = coverage_section(coverage(TaughtClass("d", 0, {"z": math.nan})))
    assert section is not None
    (grid,) = section.grids
    assert list(grid.header) == ["class", "labels", "x", "y", "z"]
    assert list(grid.rows[1]) == ["b", "20", "0.60", "0.10", "-"]
    assert list(grid.rows[3]) == ["d", "0", "-", "-", "no labels"]
    assert list(section.text) == []
    weak = coverage_section(coverage(TaughtClass("d", 9, {})))
    assert weak is not None
    assert list(weak.text) == ["Class d: no teacher knows it; the student learns it from labels only."]
    assert coverage_section(None) is None
