"""The recommendation: the simplest strategy within the noise, on enough labels."""

from __future__ import annotations

import pytest

from mtkd_cli.audit.recommend import best_of, choose, keep, recommend
from mtkd_cli.specs import AggregatorSpec

from .outcomes import outcome

COMPLEXITY = {"best": 0, "mean": 1, "weighted": 2, "median": 3, "stacking": 4}
SPECS = {name: AggregatorSpec(name, "x", "a:b", complexity=value) for name, value in COMPLEXITY.items()}
EVEN, ALONE = (0.5, 0.5), (0.0, 1.0)


def test_simplest_strategy_within_the_noise() -> None:
    """Lowest loss alone would recommend stacking."""
    measured = {
        "mean": outcome(0.7, 0.9, EVEN),
        "weighted": outcome(0.9, 0.31, (0.4, 0.6), noise=0.1),
        "stacking": outcome(0.9, 0.30, (0.3, 0.7), noise=0.2),
        "median": outcome(0.9, 0.305, noise=0.15),
    }
    found = choose(measured, "mean", True, SPECS)
    assert found.strategy == "weighted"
    assert found.reason == (
        "`mean` has a clearly higher loss than others, and this is the simplest of those as good"
    )
    assert set(found.as_good) == {"weighted", "stacking", "median"}


def test_own_strategy_stays_within_the_noise() -> None:
    measured = {
        "mean": outcome(0.90, 0.32, EVEN),
        "weighted": outcome(0.91, 0.30, (0.4, 0.6), noise=0.1),
        "stacking": outcome(0.93, 0.28, (0.3, 0.7), noise=0.2),
    }
    for own in ("mean", "weighted"):
        assert choose(measured, own, True, SPECS).strategy == own


def test_simpler_strategy_replaces_own_if_it_is_at_least_as_good() -> None:
    measured = {
        "mean": outcome(0.91, 0.30, EVEN),
        "stacking": outcome(0.90, 0.32, (0.1, 0.9), noise=0.1),
    }
    found = choose(measured, "stacking", True, SPECS)
    assert (found.strategy, found.reason) == ("mean", "it is simpler than `stacking` and at least as good")


def test_fitted_strategy_needs_labels() -> None:
    """Stacking is surely better, but was fitted on too few labels."""
    measured = {"mean": outcome(0.8, 0.5, EVEN), "stacking": outcome(0.95, 0.1, (0.1, 0.9), noise=0.01)}
    assert choose(measured, "mean", True, SPECS).strategy == "stacking"
    assert choose(measured, "mean", True, SPECS, {"stacking"}).strategy == "mean"
    found = choose(measured, "stacking", True, SPECS, {"stacking"})
    assert (found.strategy, found.reason) == ("mean", "`stacking` needs more labels")


@pytest.mark.parametrize(
    ("score", "error", "expected"),
    [(0.62, 0.015, "best"), (0.62, 0.05, "weighted"), (0.58, 0.05, "weighted"), (0.7, 0.01, "best")],
    ids=["1.3 standard errors better", "0.4 standard errors better", "worse", "surely better"],
)
def test_one_teacher_alone_has_to_be_a_standard_error_better(
    score: float, error: float, expected: str
) -> None:
    """For example detection: one teacher has 2 points of mAP more than the mixture."""
    measured = {
        "weighted": outcome(0.60, 0.30, (0.4, 0.6)),
        "mean": outcome(0.59, 0.31, EVEN),
        "best": outcome(score, 0.30, ALONE, noise=error),
    }
    assert choose(measured, "weighted", True, SPECS).strategy == expected


def test_one_teacher_alone_is_not_chosen_if_a_mixture_has_a_better_score() -> None:
    measured = {
        "weighted": outcome(0.60, 0.30, (0.4, 0.6)),
        "median": outcome(0.63, 0.30, noise=0.03),
        "best": outcome(0.62, 0.30, ALONE, noise=0.015),
    }
    assert choose(measured, "weighted", True, SPECS).strategy == "weighted"


def test_mixture_is_preferred_to_one_teacher_of_equal_score() -> None:
    tie = {
        "best": outcome(0.9, 0.30, ALONE),
        "weighted": outcome(0.9, 0.31, (0.4, 0.6), noise=0.1),
        "median": outcome(0.9, 0.32, noise=0.2),
        "mean": outcome(0.5, 0.90, EVEN),
    }
    assert recommend(tie, "mean", True) == "weighted"
    assert recommend(tie, "best", True) == "best", "the own strategy stays if no other is surely better"


def test_best_teacher_has_the_best_score_then_the_lowest_loss_then_the_first_name() -> None:
    tied = [outcome(1.0, 0.5), outcome(1.0, 0.1), outcome(0.9, 0.0)]
    assert best_of(tied, ["a", "b", "c"], True) == 1
    assert best_of([outcome(1.0, 0.5), outcome(2.0, 0.1)], ["a", "b"], False) == 0
    same = [outcome(1.0, 0.5), outcome(1.0, 0.5)]
    assert [best_of(same, names, True) for names in (["a", "b"], ["b", "a"])] == [0, 1]


def test_too_few_labels_keep_the_own_strategy() -> None:
    assert keep({"mean": outcome(0.1, 0.9), "best": outcome(0.9, 0.1)}, "mean").strategy == "mean"
