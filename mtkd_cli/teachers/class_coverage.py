"""Which of the prepared teachers know each class, with their scores on validation."""

from __future__ import annotations

import math
from collections.abc import Sequence

from mtkd_cli.interfaces.significant_digits import round_significant
from mtkd_cli.report.class_coverage import ClassCoverage, TaughtClass
from mtkd_cli.teachers.outputs import ReadyTeacher, known_class_mask


def class_coverage(teachers: Sequence[ReadyTeacher], classes: Sequence[str]) -> ClassCoverage | None:
    """Return which teachers know each class; None if every teacher knows every class.

    Args:
        teachers: the teachers, validated.
        classes: class names of the data.
    """
    if known_class_mask(list(teachers)) is None:
        return None
    validations = [teacher.validation for teacher in teachers if teacher.validation]
    metric = next((found.class_metric for found in validations if found.class_metric), "")
    counts = [found.class_labels for found in validations if found.class_labels]
    taught = []
    for number, name in enumerate(classes):
        scores = {
            teacher.name: _class_score(teacher, number)
            for teacher in teachers
            if teacher.alignment.known[number]
        }
        # a teacher is validated on labels of its own classes
        labels = max((each[number] for each in counts), default=None)
        taught.append(TaughtClass(name, labels, scores))
    return ClassCoverage(metric, tuple(teacher.name for teacher in teachers), tuple(taught))


def _class_score(teacher: ReadyTeacher, number: int) -> float:
    """Return a teacher's validation score on a class; NaN without labels."""
    found = teacher.validation
    score = found.per_class[number] if found and found.per_class else math.nan
    return float(round_significant(float(score)))
