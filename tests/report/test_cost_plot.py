"""The plot of score against cost."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest

from mtkd_cli.report.cost_plot import CostPoint, LogScale, cost_plot, front

POINTS = [
    CostPoint("small", 10, 0.8, (0.79, 0.81)),
    CostPoint("medium", 100, 0.78),
    CostPoint("twin", 100, 0.85),
    CostPoint("large", 1000, 0.9),
]


@pytest.mark.parametrize(
    ("higher", "names"), [(True, ["small", "twin", "large"]), (False, ["small", "medium"])]
)
def test_front_joins_students_that_no_cheaper_one_beats(higher: bool, names: list[str]) -> None:
    assert [point.name for point in front(POINTS, higher)] == names


def test_equal_costs_are_drawn_beside_each_other_on_a_logarithmic_axis() -> None:
    tree = ET.fromstring(cost_plot("t", POINTS, "size", "accuracy", True))
    small, medium, twin, large = (float(circle.attrib["cx"]) for circle in tree.findall("circle"))
    assert medium < twin < medium + 20
    middle = (medium + twin) / 2
    assert middle - small == pytest.approx(large - middle, abs=0.1)


@pytest.mark.parametrize(("low", "high"), [(1.0, 9.0), (2.1, 3.6), (0.011, 0.013), (1.0, 1e9)])
def test_axis_has_several_ticks(low: float, high: float) -> None:
    ticks = LogScale(low, high, 0, 1).ticks
    assert len(ticks) > 1
    assert all(low <= tick <= high for tick in ticks)
