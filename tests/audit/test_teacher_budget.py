"""Which teachers keep 99 % of the score, at what cost."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

import pytest

from mtkd_cli.audit.teacher_budget import budget_finding, cheapest_subsets
from mtkd_cli.audit.validation_set import Outcome
from mtkd_cli.recipe.reader import apply
from mtkd_cli.report.audit_page import audit_page
from mtkd_cli.report.audit_result import StrategyFacts, TeacherSubset

from .outcomes import ONE, audit, outcome, teacher

COSTS = {"cheap": 1.0, "middle": 2.0, "expensive": 7.0}


def subsets(
    scores: Mapping[str, float],
    higher: bool = True,
    costs: Mapping[str, float | None] = COSTS,
) -> list[tuple[str, ...]]:
    """Return the teachers of each subset; scores are given by the first letters of the teachers."""
    return [each.teachers for each in measured(scores, higher, costs)]


def measured(
    scores: Mapping[str, float], higher: bool = True, costs: Mapping[str, float | None] = COSTS
) -> tuple[TeacherSubset, ...]:
    names = list(costs)

    def measure(kept: tuple[int, ...]) -> Outcome:
        return outcome(scores["".join(names[k][0] for k in kept)], 0.5, noise=0.01)

    return cheapest_subsets(names, costs, measure, higher)


ALL = ("cheap", "middle", "expensive")


def test_the_most_expensive_teacher_goes_first() -> None:
    found = subsets({"cme": 0.9, "me": 0.9, "ce": 0.9, "cm": 0.895, "m": 0.5, "c": 0.892})
    assert found == [ALL, ("cheap", "middle"), ("cheap",)]


def test_a_teacher_stays_if_its_loss_costs_more_than_a_hundredth() -> None:
    assert subsets({"cme": 0.9, "me": 0.9, "ce": 0.88, "cm": 0.89, "m": 0.1, "e": 0.8}) == [
        ALL,
        ("middle", "expensive"),
    ]
    assert subsets({"cme": 0.9, "me": 0.8, "ce": 0.8, "cm": 0.8}) == [ALL]


def test_errors_count_down() -> None:
    found = subsets({"cme": 1.0, "me": 5.0, "ce": 5.0, "cm": 1.009, "c": 1.02, "m": 1.02}, higher=False)
    assert found == [ALL, ("cheap", "middle")]


def test_of_teachers_without_known_cost_the_worst_goes() -> None:
    costs = dict.fromkeys(COSTS)
    found = subsets({"cme": 0.9, "me": 0.9, "ce": 0.95, "cm": 0.9, "c": 0.1, "e": 0.1}, costs=costs)
    assert found == [ALL, ("cheap", "expensive")]


@pytest.mark.parametrize("score", [0.0, -0.2, math.nan])
def test_a_share_of_nothing_is_not_reported(score: float) -> None:
    assert subsets({"cme": score}) == []


def test_the_finding_has_costs_and_an_override_that_works() -> None:
    budget = measured({"cme": 0.9, "me": 0.9, "ce": 0.5, "cm": 0.896, "m": 0.5, "c": 0.5})
    facts = audit(teachers=tuple(teacher(name) for name in ALL))
    entries = [{"model": "mlp:4", "name": name, "fit": {"train": "all", "epochs": 20}} for name in ALL]
    facts = replace(facts, teacher_budget=budget, recipe={**facts.recipe, "teachers": entries})
    (found,) = budget_finding(facts)
    assert found.severity == "note"
    assert found.sentence.startswith(
        "2 of 3 teachers, `cheap` and `middle`, keep 99.6 % of the accuracy of all"
    )
    assert "30 % of the recording cost (3.00 ms of 10.00 ms per sample and view)" in found.sentence
    raw = {"teachers": entries}
    apply(raw, found.override)
    assert [entry["name"] for entry in raw["teachers"]] == ["cheap", "middle"]
    strategy = StrategyFacts("mean", ONE, ONE, {}, cross_fitted=False, weights=())
    assert "Teacher budget" in audit_page(replace(facts, strategies=(strategy,)), "a")


def test_the_finding_says_if_no_teacher_can_be_left_out() -> None:
    facts = audit(teachers=tuple(teacher(name) for name in ALL))
    every = measured({"cme": 0.9, "me": 0.8, "ce": 0.8, "cm": 0.8})
    (found,) = budget_finding(replace(facts, teacher_budget=every))
    assert found.sentence.startswith("No teacher can be left out")
    assert found.override == ""
    assert not list(budget_finding(replace(facts, teacher_budget=every, recommended_teacher="cheap")))
    assert not list(budget_finding(facts))
