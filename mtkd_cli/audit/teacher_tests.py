"""Everything that an audit tests about teachers; each test is corrected over all teachers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from mtkd_cli.audit.answers import Answers
from mtkd_cli.audit.class_help import classes_helped
from mtkd_cli.audit.class_order import ClassOrder, class_orders
from mtkd_cli.audit.one_answer import OneAnswer, one_answer
from mtkd_cli.audit.redundant import redundant_pairs, to_leave_out
from mtkd_cli.audit.sure_findings import Harm, find_overconfident, harms_of
from mtkd_cli.audit.validation_set import Outcome
from mtkd_cli.report.audit_result import Change, PairFacts, TeacherFacts


@dataclass(frozen=True)
class TeacherTests:
    """What is surely true of teachers, by name.

    Attributes:
        one_answer: teachers that predict one class nearly always.
        class_orders: teachers whose classes are permuted.
        harms: teachers without which an ensemble is better.
        overconfident: mean confidence and accuracy.
        helped: classes that the teacher helps on, of teachers that harm on the other classes.
        redundant: the teacher that it repeats.
    """

    one_answer: Mapping[str, OneAnswer] = field(default_factory=dict)
    class_orders: Mapping[str, ClassOrder] = field(default_factory=dict)
    harms: Mapping[str, Harm] = field(default_factory=dict)
    overconfident: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    helped: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    redundant: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Ensembles:
    """One strategy with all teachers, and without each.

    Attributes:
        together: with all teachers.
        without: without each, by name; empty if there is only one.
        changes: the gains by leaving each out, by name.
    """

    together: Outcome
    without: Mapping[str, Outcome]
    changes: Mapping[str, Change]


def tests_of(
    teachers: Sequence[TeacherFacts],
    pairs: Sequence[PairFacts],
    ensembles: Ensembles,
    answers: Answers | None,
    folds: Sequence[NDArray[np.int64]],
    samples: int,
    higher_is_better: bool,
) -> TeacherTests:
    """Return what is surely true of teachers.

    Args:
        teachers: their facts.
        pairs: facts on each pair.
        ensembles: of the strategy by which teachers are judged.
        answers: predicted classes; None if the task does not predict one class per sample.
        folds: positions that are held out in turn.
        samples: number of labeled samples.
        higher_is_better: direction of the score.
    """
    names = [teacher.name for teacher in teachers]
    sign = 1 if higher_is_better else -1
    alike = to_leave_out(redundant_pairs(pairs, samples), {t.name: sign * t.whole.value for t in teachers})
    changes = ensembles.changes
    return TeacherTests(
        one_answer={names[k]: each for k, each in one_answer(answers).items()} if answers else {},
        class_orders={names[k]: each for k, each in class_orders(answers, folds).items()} if answers else {},
        harms=harms_of(changes),
        overconfident=find_overconfident(teachers),
        helped=_test_help(ensembles, answers, folds),
        redundant={
            name: kept
            for name, kept in alike.items()
            if name in changes and not changes[name].gain.high < 0 and not changes[name].loss_gain.high < 0
        },
    )


def _test_help(
    ensembles: Ensembles, answers: Answers | None, folds: Sequence[NDArray[np.int64]]
) -> dict[str, tuple[str, ...]]:
    together = ensembles.together.score.right
    without = {name: each.score.right for name, each in ensembles.without.items()}
    right = {name: each for name, each in without.items() if each is not None}
    if answers is None or together is None or len(right) < 2:
        return {}
    found = classes_helped(together, right, answers.labels, folds, len(answers.classes))
    return {name: tuple(answers.classes[c] for c in classes) for name, classes in found.items()}
