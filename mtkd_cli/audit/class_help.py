"""Teachers that help an ensemble on some classes and harm it on the others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from mtkd_cli.stats.multiple import LEVEL, holm

Right = NDArray[np.float64]


def classes_helped(
    together: Right,
    without: Mapping[str, Right],
    labels: NDArray[np.int64],
    folds: Sequence[NDArray[np.int64]],
    classes: int,
) -> dict[str, tuple[int, ...]]:
    """Return the classes that a teacher surely helps on, of teachers that surely harm on the rest.

    The classes are chosen on the other folds, and each fold tests them: the ensemble with the teacher has to
    be better on these classes and worse on the rest (McNemar's exact test for both, Holm over teachers). A
    teacher that helps on more than half of the classes is not reported.

    Args:
        together: right (1) and wrong (0) predictions of the ensemble, ``[N]``.
        without: the same without each teacher, by name.
        labels: class indices, ``[N]``.
        folds: positions that are held out in turn.
        classes: number of classes.
    """
    helps = {name: together - right for name, right in without.items()}  # [N]: 1 helps, -1 harms
    corrected = holm([_p_split(each, labels, folds, classes) for each in helps.values()])
    found = {}
    for (name, each), p in zip(helps.items(), corrected, strict=True):
        helped = np.flatnonzero(np.bincount(labels, weights=each, minlength=classes) > 0).tolist()
        named = tuple(c for c in helped if _p_positive(each[labels == c]) < LEVEL)
        if p < LEVEL and named and len(helped) <= classes / 2:
            found[name] = named
    return found


def _p_split(
    helps: Right, labels: NDArray[np.int64], folds: Sequence[NDArray[np.int64]], classes: int
) -> float:
    """Return the larger p value: of help on the chosen classes, of harm on the rest, on held-out samples."""
    is_chosen = np.zeros(len(labels), dtype=bool)
    for fold in folds:
        rest = np.delete(np.arange(len(labels)), fold)
        net = np.bincount(labels[rest], weights=helps[rest], minlength=classes)  # [C]
        is_chosen[fold] = net[labels[fold]] > 0
    return max(_p_positive(helps[is_chosen]), _p_positive(-helps[~is_chosen]))


def _p_positive(differences: Right) -> float:
    """Return McNemar's one-sided p value: small if 1 is surely more frequent than -1."""
    from scipy.stats import binomtest

    first, second = int((differences > 0).sum()), int((differences < 0).sum())
    differ = first + second
    return float(binomtest(first, differ, alternative="greater").pvalue) if differ else 1.0
