"""What an audit says follows its intervals: a word is sure only where zero is left out."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from mtkd_cli.audit.advice import advice_of
from mtkd_cli.audit.recommend import best_of, kept, recommended
from mtkd_cli.audit.sure_findings import overconfident, with_wrong_classes
from mtkd_cli.audit.validation_set import Outcome
from mtkd_cli.report.audit_result import Audit, Change, ClassFacts, TeacherFacts
from mtkd_cli.stats.estimate import Difference, Estimate
from mtkd_cli.stats.score import Score
from mtkd_cli.training.evaluation import Measured

ONE = Estimate(1.0, 1.0, 1.0)
NOTHING = Difference(0.0, -0.01, 0.01)
NOISE = np.random.default_rng(0).normal(0, 1, 200)


def outcome(score: float, loss: float, weights: tuple[float, ...] = (), noise: float = 0.0) -> Outcome:
    """An outcome whose numbers have such a standard error."""
    measured = Measured(torch.zeros(1, 1), {}, torch.tensor([loss]), torch.ones(1))
    influence = noise * NOISE / len(NOISE) ** 0.5
    scores = (Score(score, len(NOISE), score - influence), Score(loss, len(NOISE), loss + influence))
    return Outcome(measured, *scores, weights)


def audit(own: str, use: str, *left_out: Change) -> Audit:
    teachers = [TeacherFacts(name, "all", ONE, ONE, {}, (), ()) for name in ("first", "second")]
    return Audit(
        task="classification",
        metric="accuracy",
        higher_is_better=True,
        samples=100,
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


def without_first(gain: Difference, lower: Difference) -> Audit:
    return audit("mean", "mean", Change("mean", "first", gain, lower))


def test_a_teacher_without_which_the_score_is_surely_better_does_harm() -> None:
    facts = without_first(Difference(0.05, 0.01, 0.2, 0.004), NOTHING)
    assert said(facts, "harmful") == [
        "teacher first, accuracy 1.0000 (1.0000 to 1.0000), does harm: without it `mean` gains 0.0500 "
        "(0.0100 to 0.2000) accuracy and does not surely lower the loss, by +0.0000 (-0.0100 to +0.0100)"
    ]


def test_a_teacher_without_which_only_the_loss_is_lower_does_no_harm_and_the_interval_is_told_whole() -> None:
    facts = without_first(NOTHING, Difference(0.0054, 0.0008, 0.0138, 0.004))
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
        (Difference(0.05, -0.001, 0.2, 0.06), Difference(0.1, -0.01, 0.2, 0.07)),
        (Difference(-0.05, -0.1, -0.01, 0.01), Difference(0.1, 0.05, 0.2, 0.001)),
    ],
)
def test_nothing_is_said_of_a_teacher_whose_harm_is_not_sure(gain: Difference, lower: Difference) -> None:
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
    level = {**tie, "mean": outcome(0.9, 0.33, (0.5, 0.5), noise=0.3)}
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


def test_the_more_teachers_are_looked_at_the_surer_a_harm_must_be() -> None:
    """Holm over two numbers of four teachers: .02, .01 of one side, stands alone, not among eight."""
    one = Change("mean", "first", Difference(0.05, 0.01, 0.2, 0.02), NOTHING)
    others = [Change("mean", name, NOTHING, NOTHING) for name in ("second", "third", "fourth")]
    assert said(audit("mean", "mean", one), "harmful")
    assert not said(audit("mean", "mean", one, *others), "harmful")


def test_few_labels_give_no_advice_and_keep_the_strategy() -> None:
    facts = without_first(Difference(0.5, 0.3, 0.7, 1e-6), NOTHING)
    (line,) = advice_of(replace(facts, samples=19), {}, []).advice
    assert line.sentence.startswith("no advice: 19 labelled validation samples are too few, it needs 20")
    assert kept({"mean": outcome(0.1, 0.9), "best": outcome(0.9, 0.1)}, "mean") == "mean"


def calibrated(name: str, right: int, count: int, confidence: float) -> TeacherFacts:
    return TeacherFacts(name, "all", ONE, ONE, {}, ((confidence, right / count, count),), ())


def test_overconfidence_is_what_a_calibrated_teacher_would_seldom_show() -> None:
    """12 of 20 at .75: 10 % of calibrated teachers have so few; 40 of 100: about none."""
    assert overconfident([calibrated("first", 12, 20, 0.75)]) == {}
    assert overconfident([calibrated("first", 40, 100, 0.75)]) == {"first": (0.75, 0.4)}
    assert overconfident([calibrated("first", 69, 100, 0.75)]) == {}


def test_a_class_is_surely_wrong_only_among_all_classes_that_were_looked_at() -> None:
    def marked(*p_wrong: list[float]) -> list[list[bool]]:
        classes = [tuple(ClassFacts(str(c), 6, 0.0, 0.0, 0.9, False) for c in range(len(p))) for p in p_wrong]
        teachers = [TeacherFacts("any", "all", ONE, ONE, {}, (), facts) for facts in classes]
        return [[c.surely_wrong for c in t.classes] for t in with_wrong_classes(teachers, p_wrong)]

    assert marked([0.03]) == [[True]]
    assert marked([0.03, 0.9]) == [[False, False]]
    assert marked([0.001, 0.02, 0.9]) == [[True, True, False]]
    assert marked([0.02, 0.9], [0.9, 0.9]) == [[False, False]] * 2
    assert marked([0.001, 0.02], [0.9, 0.03]) == [[True, True], [False, False]]
