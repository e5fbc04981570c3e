"""Teachers that would be right under another order of their classes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mtkd_cli.audit.answers import Answers
from mtkd_cli.stats.multiple import LEVEL, holm

GAIN = 0.1
"""Smallest gain in accuracy by another order that is reported."""


@dataclass(frozen=True)
class ClassOrder:
    """The order of classes that fits the labels.

    Attributes:
        order: for each label the predicted class that stands for it, ``[C]``.
        moved: labels whose class is another one, the most frequent pair first.
        accuracy: as declared.
        reordered: in the other order.
    """

    order: tuple[int, ...]
    moved: tuple[int, ...]
    accuracy: float
    reordered: float


def class_orders(answers: Answers, folds: Sequence[NDArray[np.int64]]) -> dict[int, ClassOrder]:
    """Return the teachers whose classes are surely permuted.

    The order is the assignment of predictions to labels with the most hits (Hungarian algorithm). It always
    fits the samples that it was found on, so each fold is scored by the order of the other folds, and
    McNemar's exact test compares that with the declared order (one-sided, Holm over teachers).

    Args:
        answers: of all teachers.
        folds: positions that are held out in turn.
    """
    found: dict[int, ClassOrder] = {}
    p_values = []
    for k, predicted in enumerate(answers.predicted):
        known, count = answers.known[k], len(answers.classes)
        p_values.append(_p_permuted(predicted, answers.labels, known, folds, count))
        found[k] = _order(predicted[known], answers.labels[known], count)
    corrected = holm(p_values)
    return {k: each for k, each in found.items() if corrected[k] < LEVEL and _is_clear(each)}


def _is_clear(found: ClassOrder) -> bool:
    """Whether most predictions are right in the other order, and clearly more than before."""
    return found.reordered >= 0.5 and found.reordered - found.accuracy >= GAIN


def _p_permuted(
    predicted: NDArray[np.int64],
    labels: NDArray[np.int64],
    known: NDArray[np.bool_],
    folds: Sequence[NDArray[np.int64]],
    classes: int,
) -> float:
    """Return the p value of the declared order being as good as the one found on other folds."""
    from scipy.stats import binomtest

    reordered_only = declared_only = 0
    for fold in folds:
        held = np.zeros(len(labels), dtype=bool)
        held[fold] = True
        rest, held = known & ~held, known & held
        order = np.array(_order(predicted[rest], labels[rest], classes).order)
        declared, reordered = predicted[held] == labels[held], predicted[held] == order[labels[held]]
        reordered_only += int((reordered & ~declared).sum())
        declared_only += int((declared & ~reordered).sum())
    differ = reordered_only + declared_only
    return float(binomtest(reordered_only, differ, alternative="greater").pvalue) if differ else 1.0


def _order(predicted: NDArray[np.int64], labels: NDArray[np.int64], classes: int) -> ClassOrder:
    """Return the best assignment; of equally good ones one that moves few classes."""
    from scipy.optimize import linear_sum_assignment

    # [C, C]: how often each label (row) is predicted as each class (column)
    counts = np.bincount(labels * classes + predicted, minlength=classes**2).reshape(classes, classes)
    _, order = linear_sum_assignment(counts + 1e-6 * np.eye(classes), maximize=True)
    hits = counts[np.arange(classes), order]
    moved = [c for c in np.argsort(-hits, kind="stable").tolist() if order[c] != c and hits[c]]
    total = max(1, len(labels))
    return ClassOrder(
        tuple(map(int, order)), tuple(moved), float(np.trace(counts) / total), float(hits.sum() / total)
    )
