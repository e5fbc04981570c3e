"""Tests of teachers find what is there, and count how many teachers were tested."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mtkd_cli.audit.answers import Answers
from mtkd_cli.audit.class_help import classes_helped
from mtkd_cli.audit.class_order import class_orders
from mtkd_cli.audit.measure import folds_of
from mtkd_cli.audit.one_answer import one_answer
from mtkd_cli.audit.redundant import redundant_pairs, to_leave_out
from mtkd_cli.audit.sure_findings import find_overconfident, harms_of, with_wrong_classes
from mtkd_cli.report.audit_result import Change, ClassFacts, PairFacts, TeacherFacts
from mtkd_cli.stats.estimate import Difference

from .outcomes import ONE

NAMES = ("bird", "cat", "dog", "fox")
NOTHING = Difference(0.0, -0.01, 0.01)


def answers(labels: NDArray[np.int64], *predicted: NDArray[np.int64]) -> Answers:
    rows = np.stack(predicted)
    return Answers(rows, labels, np.ones(rows.shape, dtype=bool), NAMES)


def noisy(labels: NDArray[np.int64], share: float, seed: int) -> NDArray[np.int64]:
    """Return predictions of which such a share is replaced by random classes."""
    rng = np.random.default_rng(seed)
    return np.where(rng.random(len(labels)) < share, rng.integers(0, 4, len(labels)), labels)


def test_one_answer() -> None:
    labels = np.arange(40) % 4
    predicted = np.zeros(40, dtype=np.int64)
    predicted[1] = 1  # right
    found = one_answer(answers(labels, noisy(labels, 0.2, 0), predicted))
    assert list(found) == [1]
    assert (found[1].name, found[1].share, found[1].of_labels) == ("bird", 39 / 40, 0.25)


def test_one_answer_is_right_if_the_labels_are_of_one_class() -> None:
    labels = np.zeros(100, dtype=np.int64)
    labels[:4] = [1, 2, 3, 1]
    assert one_answer(answers(labels, np.zeros(100, dtype=np.int64))) == {}


def test_one_answer_needs_labels() -> None:
    """Two samples of other classes: p = 1/4, times the number of classes."""
    labels = np.array([0] * 8 + [1, 2])
    assert one_answer(answers(labels, np.zeros(10, dtype=np.int64))) == {}


def test_permuted_classes() -> None:
    """Predictions of label 0, 1, 2 are 1, 2, 0."""
    labels = np.arange(80) % 4
    permuted = np.array([1, 2, 0, 3])[noisy(labels, 0.2, 1)]
    found = class_orders(answers(labels, noisy(labels, 0.2, 0), permuted), folds_of(80))
    assert list(found) == [1]
    assert found[1].order == (1, 2, 0, 3)
    assert sorted(found[1].moved) == [0, 1, 2]
    assert found[1].accuracy == np.mean(permuted == labels)
    assert found[1].reordered == np.mean(permuted == np.array([1, 2, 0, 3])[labels])


def test_random_predictions_are_not_permuted() -> None:
    """An assignment found on the same samples always gains some."""
    labels = np.arange(40) % 4
    for seed in range(20):
        predicted = np.random.default_rng(seed).integers(0, 4, 40)
        assert class_orders(answers(labels, predicted), folds_of(40)) == {}


def test_classes_a_teacher_does_not_know_do_not_count() -> None:
    labels = np.arange(40) % 4
    known = np.ones((1, 40), dtype=bool)
    known[0, labels >= 2] = False
    swapped = np.where(labels < 2, labels, 0)
    facts = Answers(swapped[None], labels, known, NAMES)
    assert class_orders(facts, folds_of(40)) == {}


def test_teacher_that_helps_on_one_class() -> None:
    """With it, the ensemble is right on class 0 and wrong on half of the rest; without it the reverse."""
    labels = np.arange(200) % 4
    rng = np.random.default_rng(0)
    together = np.where(labels == 0, 1.0, (rng.random(200) < 0.5).astype(float))
    without = np.where(labels == 0, (rng.random(200) < 0.3).astype(float), 1.0)
    found = classes_helped(together, {"special": without, "other": together}, labels, folds_of(200), 4)
    assert found == {"special": (0,)}
    always = np.ones(200)
    assert classes_helped(always, {"good": together, "other": always}, labels, folds_of(200), 4) == {}
    assert classes_helped(together, {"bad": always, "other": together}, labels, folds_of(200), 4) == {}


def test_redundant_teachers_make_the_same_errors() -> None:
    """Good teachers agree on most samples, too."""
    copy = PairFacts(("a", "b"), 0.99, 0.99)
    good = PairFacts(("a", "c"), 0.99, 0.6)
    values = PairFacts(("b", "c"), None, 0.99)
    assert redundant_pairs([copy, good], 100) == [copy]
    assert redundant_pairs([values], 100) == [values]
    assert redundant_pairs([copy], 20) == []
    assert redundant_pairs([replace_correlation(copy, None)], 100) == []


def replace_correlation(pair: PairFacts, value: float | None) -> PairFacts:
    return PairFacts(pair.teachers, pair.agreement, value)


def test_of_redundant_teachers_the_better_one_stays() -> None:
    pairs = [PairFacts(names, 1.0, 1.0) for names in (("a", "b"), ("a", "c"), ("b", "c"))]
    assert to_leave_out(pairs, {"a": 0.9, "b": 0.9, "c": 0.8}) == {"b": "a", "c": "a"}
    assert to_leave_out(pairs[:1], {"a": 0.8, "b": 0.9}) == {"a": "b"}


def test_more_teachers_need_more_evidence_of_harm() -> None:
    """Holm over two numbers of four teachers: p = .02 is enough alone, not among eight tests."""
    changes = {"first": Change("mean", "first", Difference(0.05, 0.01, 0.2, 0.02), NOTHING)}
    assert list(harms_of(changes)) == ["first"]
    others = {name: Change("mean", name, NOTHING, NOTHING) for name in ("second", "third", "fourth")}
    assert not harms_of(changes | others)


def test_harm_has_to_be_sure() -> None:
    for gain, lower in (
        (NOTHING, NOTHING),
        (Difference(0.05, -0.001, 0.2, 0.06), Difference(0.1, -0.01, 0.2, 0.07)),
        (Difference(-0.05, -0.1, -0.01, 0.01), Difference(0.1, 0.05, 0.2, 0.001)),
    ):
        assert not harms_of({"first": Change("mean", "first", gain, lower)})


def calibrated(name: str, right: int, count: int, confidence: float) -> TeacherFacts:
    return TeacherFacts(name, "all", ONE, ONE, {}, ((confidence, right / count, count),), ())


def test_overconfidence_is_rare_for_a_calibrated_teacher() -> None:
    """12 of 20 at .75: 10 % of calibrated teachers have so few; 40 of 100: about none."""
    assert find_overconfident([calibrated("first", 12, 20, 0.75)]) == {}
    assert find_overconfident([calibrated("first", 40, 100, 0.75)]) == {"first": (0.75, 0.4)}
    assert find_overconfident([calibrated("first", 69, 100, 0.75)]) == {}


def test_more_classes_need_more_evidence_of_a_wrong_class() -> None:
    def marked(*p_wrong: list[float]) -> list[list[bool]]:
        classes = [tuple(ClassFacts(str(c), 6, 0.0, 0.0, 0.9, False) for c in range(len(p))) for p in p_wrong]
        teachers = [TeacherFacts("any", "all", ONE, ONE, {}, (), facts) for facts in classes]
        return [[c.surely_wrong for c in t.classes] for t in with_wrong_classes(teachers, p_wrong)]

    assert marked([0.03]) == [[True]]
    assert marked([0.03, 0.9]) == [[False, False]]
    assert marked([0.001, 0.02, 0.9]) == [[True, True, False]]
    assert marked([0.02, 0.9], [0.9, 0.9]) == [[False, False]] * 2
    assert marked([0.001, 0.02], [0.9, 0.03]) == [[True, True], [False, False]]
