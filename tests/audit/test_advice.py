"""What an audit says follows its intervals: a word is sure only where zero is left out."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from mtkd_cli.audit.advice import advice_of
from mtkd_cli.audit.facts import Audit, Change, TeacherFacts
from mtkd_cli.audit.recommend import best_of, recommended
from mtkd_cli.audit.validation_set import Outcome
from mtkd_cli.stats.bootstrap import Estimate
from mtkd_cli.training.evaluation import Measured

ONE = Estimate(1.0, 1.0, 1.0)
NOTHING = Estimate(0.0, -0.01, 0.01)
NOISE = np.random.default_rng(0).normal(0, 1, 200)


def outcome(score: float, loss: float, weights: tuple[float, ...] = (), noise: float = 0.0) -> Outcome:
    """An outcome whose draws scatter by so much around its numbers."""
    measured = Measured(torch.zeros(1, 1), {}, torch.tensor([loss]), torch.ones(1))
    draws = noise * NOISE
    return Outcome(measured, (score, score + draws), (loss, loss - draws), weights)


def audit(own: str, use: str, *left_out: Change) -> Audit:
    teachers = [TeacherFacts(name, "all", ONE, ONE, {}, (), ()) for name in ("first", "second")]
    return Audit(
        task="classification",
        metric="accuracy",
        higher_is_better=True,
        samples=20,
        classes=("a", "b"),
        teachers=tuple(teachers),
        pairs=(),
        oracle=None,
        strategies=(),
        not_measured={},
        left_out=left_out,
        added=(),
        configured=own,
        recommended=use,
        advice=(),
    )


def said(facts: Audit, about: str, **measured: Outcome) -> list[str]:
    alone = [outcome(1.0, 0.5), outcome(0.9, 0.6)]
    told = advice_of(facts, measured or {"mean": outcome(1.0, 0.5)}, alone).advice
    return [line.sentence for line in told if line.about == about]


def without_first(gain: Estimate, lower: Estimate) -> Audit:
    return audit("mean", "mean", Change("mean", "first", gain, lower))


def test_a_teacher_without_which_the_score_is_surely_better_does_harm() -> None:
    facts = without_first(Estimate(0.05, 0.01, 0.2), NOTHING)
    assert said(facts, "harmful") == [
        "teacher first, accuracy 1.0000 (1.0000 to 1.0000), does harm: without it `mean` gains 0.0500 "
        "(0.0100 to 0.2000) accuracy and does not surely lower the loss, by +0.0000 (-0.0100 to +0.0100)"
    ]


def test_a_teacher_without_which_only_the_loss_is_lower_does_no_harm_and_the_interval_is_told_whole() -> None:
    facts = without_first(NOTHING, Estimate(0.0054, 0.0008, 0.0138))
    assert not said(facts, "harmful")
    assert said(facts, "raises the loss") == [
        "teacher first, accuracy 1.0000 (1.0000 to 1.0000), raises the loss: without it `mean` does not "
        "surely change accuracy, +0.0000 (-0.0100 to +0.0100), and lowers the loss by 0.0054 "
        "(0.0008 to 0.0138)"
    ]


@pytest.mark.parametrize(
    ("gain", "lower"),
    [
        (NOTHING, NOTHING),
        (Estimate(0.05, -0.001, 0.2), Estimate(0.1, -0.01, 0.2)),
        (Estimate(-0.05, -0.1, -0.01), Estimate(0.1, 0.05, 0.2)),
    ],
)
def test_nothing_is_said_of_a_teacher_whose_harm_is_not_sure(gain: Estimate, lower: Estimate) -> None:
    facts = without_first(gain, lower)
    assert not said(facts, "harmful") + said(facts, "raises the loss")


def test_a_change_of_strategy_claims_only_what_its_intervals_leave() -> None:
    mean, use = outcome(0.8, 0.6, (0.5, 0.5), noise=0.1), outcome(0.85, 0.3, (0.02, 0.98))
    (line,) = said(audit("mean", "weighted"), "strategy", mean=mean, weighted=use)
    assert "hears hardly any teacher but second" in line
    assert "does not surely change accuracy, +0.0500 (-0." in line
    assert "lowers the loss by 0.3000 (0." in line


def test_of_strategies_that_cannot_be_told_apart_one_that_hears_several_teachers_is_recommended() -> None:
    tie = {
        "best": outcome(0.9, 0.30, (0.0, 1.0)),
        "weighted": outcome(0.9, 0.31, (0.4, 0.6), noise=0.1),
        "median": outcome(0.9, 0.32, noise=0.1),
        "mean": outcome(0.5, 0.90, (0.5, 0.5)),
    }
    assert recommended(tie, "mean", True) == "weighted"
    assert recommended(tie, "best", True) == "best", "the recipe's own stays where nothing is surely better"
    level = {**tie, "mean": outcome(0.9, 0.33, (0.5, 0.5), noise=0.1)}
    assert recommended(level, "random", True) == "mean"


def test_a_single_teacher_that_is_surely_better_is_recommended() -> None:
    sure = {"best": outcome(0.9, 0.3, (0.0, 1.0)), "mean": outcome(0.8, 0.5, (0.5, 0.5), noise=0.001)}
    assert recommended(sure, "mean", True) == "best"


def test_of_teachers_of_one_score_the_best_has_the_lowest_loss() -> None:
    tied = [outcome(1.0, 0.5), outcome(1.0, 0.1), outcome(0.9, 0.0)]
    assert best_of(tied, ["a", "b", "c"], True) == 1
    assert best_of([outcome(1.0, 0.5), outcome(2.0, 0.1)], ["a", "b"], False) == 0
    same = [outcome(1.0, 0.5), outcome(1.0, 0.5)]
    assert [best_of(same, names, True) for names in (["a", "b"], ["b", "a"])] == [0, 1]
