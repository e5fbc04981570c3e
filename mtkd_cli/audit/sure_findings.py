"""Tests of all teachers together: harm, confidently wrong classes, overconfidence.

An audit tests every teacher and every class, so some would look bad by chance. Each kind of finding is one
family of tests with Holm's correction: at most 5 % of audits of good teachers report any of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from mtkd_cli.report.audit_result import Change, ClassFacts, TeacherFacts
from mtkd_cli.stats.multiple import LEVEL, holm

SURE = 0.7
"""Mean confidence from which a teacher that is mostly wrong on a class is called confidently wrong."""
OVERCONFIDENT = 0.1
"""Mean confidence minus accuracy from which a teacher is reported as overconfident."""


@dataclass(frozen=True)
class Harm:
    """The sure gain of a strategy without a teacher: a better score, a lower loss, or both."""

    change: Change
    score: bool
    loss: bool


def harms_of(changes: Mapping[str, Change]) -> dict[str, Harm]:
    """Return the teachers without which an ensemble is surely better.

    Args:
        changes: gains by leaving each teacher out, by name; of all teachers.
    """
    family = [part for change in changes.values() for part in (change.gain, change.loss_gain)]
    corrected = holm([part.p_positive for part in family])
    sure = [p < LEVEL and part.low > 0 for p, part in zip(corrected, family, strict=True)]
    found = {}
    for (name, change), score, loss in zip(changes.items(), sure[::2], sure[1::2], strict=True):
        if (score or loss) and not change.gain.high < 0:
            found[name] = Harm(change, score, loss)
    return found


def with_wrong_classes(
    teachers: Sequence[TeacherFacts], p_wrong: Sequence[Sequence[float | None]]
) -> tuple[TeacherFacts, ...]:
    """Return the teachers with the classes marked on which they are confident and surely wrong.

    Holm over teachers by the worst class of each, then over the classes of a teacher.

    Args:
        teachers: facts without marked classes.
        p_wrong: p value of each teacher and class: small if it is wrong on more than half of the samples;
            None if there are too few.
    """
    of_classes = [_correct_p_values(*pair) for pair in zip(teachers, p_wrong, strict=True)]
    of_teachers = holm([min(found.values(), default=1.0) for found in of_classes])

    def mark_sure(facts: ClassFacts, p: float, p_teacher: float) -> ClassFacts:
        return replace(facts, surely_wrong=p < LEVEL and p_teacher < LEVEL)

    return tuple(
        replace(
            teacher,
            classes=tuple(mark_sure(facts, found.get(c, 1.0), p) for c, facts in enumerate(teacher.classes)),
        )
        for teacher, found, p in zip(teachers, of_classes, of_teachers, strict=True)
    )


def _correct_p_values(teacher: TeacherFacts, p_wrong: Sequence[float | None]) -> dict[int, float]:
    """Return the corrected p value of each class on which a teacher is confident."""
    tested = {
        c: p
        for c, (facts, p) in enumerate(zip(teacher.classes, p_wrong, strict=False))
        if p is not None and facts.confidence is not None and facts.confidence >= SURE
    }
    return dict(zip(tested, holm(list(tested.values())), strict=True))


def find_overconfident(teachers: Sequence[TeacherFacts]) -> dict[str, tuple[float, float]]:
    """Return mean confidence and accuracy of the teachers that are surely overconfident.

    If each prediction were right with its confidence as probability, so few right ones would be rare. The
    binomial distribution of the mean confidence bounds the probability (Hoeffding 1956).
    """
    from scipy.stats import binomtest

    names, pairs, values = [], [], []
    for teacher in teachers:
        count = sum(number for *_, number in teacher.reliability)
        if not count:
            continue
        right = sum(share * number for _, share, number in teacher.reliability)
        confidence = min(1.0, sum(mean * number for mean, _, number in teacher.reliability) / count)
        names.append(teacher.name)
        pairs.append((confidence, right / count))
        values.append(float(binomtest(round(right), count, confidence, alternative="less").pvalue))
    found = zip(names, pairs, holm(values), strict=True)
    return {name: pair for name, pair, p in found if p < LEVEL and pair[0] - pair[1] > OVERCONFIDENT}
