"""Teachers that predict one class for nearly every sample."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mtkd_cli.audit.answers import Answers
from mtkd_cli.stats.multiple import LEVEL, holm

NEARLY_ALL = 0.9
"""Share of the predictions from which one class counts as nearly all."""


@dataclass(frozen=True)
class OneAnswer:
    """The class that a teacher predicts.

    Attributes:
        name: the class.
        share: of the predictions.
        of_labels: its share of the labels.
    """

    name: str
    share: float
    of_labels: float


def one_answer(answers: Answers) -> dict[int, OneAnswer]:
    """Return the teachers that predict one class nearly always, though the labels differ.

    A teacher is reported if it is surely wrong on most samples of the other classes (exact binomial test,
    times the number of classes, Holm over teachers).
    """
    from scipy.stats import binomtest

    found, p_values = {}, {}
    for k, predicted in enumerate(answers.predicted):
        known = answers.known[k]
        mine, labels = predicted[known], answers.labels[known]
        if not len(mine):
            continue
        counts = np.bincount(mine, minlength=len(answers.classes))
        most = int(counts.argmax())
        others = labels != most
        if counts[most] < NEARLY_ALL * len(mine) or not others.any():
            continue
        right = int((mine == labels)[others].sum())
        test = binomtest(right, int(others.sum()), alternative="less")
        p_values[k] = min(1.0, len(answers.classes) * float(test.pvalue))
        found[k] = OneAnswer(answers.classes[most], counts[most] / len(mine), float(1 - others.mean()))
    corrected = _holm(p_values, len(answers.predicted))
    return {k: facts for k, facts in found.items() if corrected[k] < LEVEL}


def _holm(p_values: dict[int, float], teachers: int) -> list[float]:
    """Return corrected p values of all teachers; 1 for those that were not tested."""
    return holm([p_values.get(k, 1.0) for k in range(teachers)])
