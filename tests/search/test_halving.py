"""How many students each rung trains, for how many steps."""

from __future__ import annotations

import pytest

from mtkd_cli.search.halving import plan_rungs, planned_steps


def test_twelve_students_cost_a_quarter_of_the_grid() -> None:
    rungs = plan_rungs(12, 720)
    assert [(rung.students, rung.until, rung.steps) for rung in rungs] == [
        (12, 40, 40),
        (4, 120, 80),
        (2, 360, 240),
    ]
    assert planned_steps(rungs, settings=1) == 12 * 40 + 4 * 80 + 2 * 240
    assert (planned_steps(rungs, settings=1) + 720) / (12 * 720) < 0.25
    assert planned_steps(rungs, settings=3) == 3 * 12 * 40 + 4 * 80 + 2 * 240


@pytest.mark.parametrize(
    ("students", "counts"), [(2, [2]), (3, [3, 2]), (7, [7, 3, 2]), (40, [40, 14, 5, 2])]
)
def test_a_third_survives_each_rung(students: int, counts: list[int]) -> None:
    assert [rung.students for rung in plan_rungs(students, 1000)] == counts


def test_one_student_needs_no_rung() -> None:
    assert plan_rungs(1, 1000) == []


def test_short_runs_have_rungs_of_an_epoch() -> None:
    """Each rung trains at least one step, and at least as long as it takes to evaluate once."""
    for steps, fewest in ((1, 1), (10, 5), (30, 5)):
        rungs = plan_rungs(12, steps, fewest)
        assert all(rung.steps >= fewest for rung in rungs)
        assert [rung.until for rung in rungs] == sorted({rung.until for rung in rungs})
