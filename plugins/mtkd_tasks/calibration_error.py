"""The expected calibration error, and what a perfectly calibrated model would show.

With 15 bins of equal width the error of few samples is mostly chance: of 539 samples and a perfectly
calibrated model .01 to .04. Bins of equal size, as many as keep the share of right answers monotonic (ECE
sweep, Roelofs et al. 2022), had the smallest bias of those tried (docs/benchmarks/calibration_error.md).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mtkd_cli import counter_rng

Numbers = NDArray[np.float64]

MOST_BINS = 100
DRAWS = 100
"""Sets of labels that a perfectly calibrated model is measured on."""
MOST_LABELS = 2**22
"""Labels that are drawn at most, but not fewer than ten sets."""


def calibration_error(confidence: Numbers, right: Numbers) -> float:
    """Return the error of answers ``[N]``: confidence 0 to 1, and 1 if right else 0; NaN of no answers."""
    return float(_sweep(confidence, right[None])[0])


def calibrated_error(confidence: Numbers) -> float:
    """Return what a perfectly calibrated model with these confidences ``[N]`` shows on average."""
    draws = max(10, min(DRAWS, MOST_LABELS // max(1, len(confidence))))
    uniform = counter_rng.generator("calibrated", len(confidence)).random((draws, len(confidence)))
    return float(_sweep(confidence, (uniform < confidence).astype(np.float64)).mean())


def _sweep(confidence: Numbers, right: Numbers) -> Numbers:
    """Return the error of D sets of right answers ``[D, N]`` on the same confidences, ``[D]``."""
    count = len(confidence)
    if not count:
        return np.full(len(right), np.nan)
    order = np.argsort(confidence, kind="stable")
    confidence, right = confidence[order], right[:, order]
    # Equal confidences have one rank, so they share a bin and the order of samples does not matter.
    starts = _starts_of_equal(confidence)
    ends = np.append(starts[1:], count)
    ranks = np.repeat((starts + ends) / 2, ends - starts) / count
    gaps = right - confidence
    found, active = np.zeros(len(right)), np.arange(len(right))
    for bins in range(1, min(count, MOST_BINS) + 1):
        starts = _starts_of_equal(np.floor(ranks * bins))
        sizes = np.diff(starts, append=count)
        shares = np.add.reduceat(right[active], starts, axis=1) / sizes
        active = active[(shares[:, 1:] >= shares[:, :-1]).all(axis=1)]
        if not len(active):
            break
        found[active] = np.abs(np.add.reduceat(gaps[active], starts, axis=1)).sum(axis=1) / count
    return found


def _starts_of_equal(values: Numbers) -> NDArray[np.int64]:
    """Return where each run of equal values begins."""
    return np.flatnonzero(np.concatenate(([True], values[1:] != values[:-1])))
