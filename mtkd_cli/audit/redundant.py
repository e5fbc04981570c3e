"""Teachers whose outputs agree with those of another teacher."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from mtkd_cli.report.audit_result import PairFacts
from mtkd_cli.stats.multiple import LEVEL, holm

ALIKE = 0.9
"""Share of equal predictions, and correlation of errors, above which two teachers are alike."""


def redundant_pairs(pairs: Sequence[PairFacts], samples: int) -> list[PairFacts]:
    """Return the pairs that surely make the same predictions and the same errors, Holm over pairs.

    Good teachers are right on the same samples, so equal predictions are not enough: the errors have to be
    correlated above `ALIKE`, too, by Fisher's transformation of Spearman's coefficient (Bonett and Wright
    2000). Where predictions are not classes, the correlation alone decides.
    """
    corrected = holm([_p_alike(pair, samples) for pair in pairs])
    return [pair for pair, p in zip(pairs, corrected, strict=True) if p < LEVEL]


def _p_alike(pair: PairFacts, samples: int) -> float:
    """Return the larger of the p values of the two conditions."""
    from scipy.stats import binomtest, norm

    r = pair.error_correlation
    if r is None or samples < 4:
        return 1.0
    error = math.sqrt((1 + r**2 / 2) / (samples - 3))
    p = float(norm.sf((math.atanh(min(r, 1 - 1e-9)) - math.atanh(ALIKE)) / error))
    if pair.agreement is not None:
        same = round(pair.agreement * samples)
        p = max(p, float(binomtest(same, samples, ALIKE, alternative="greater").pvalue))
    return p


def to_leave_out(pairs: Sequence[PairFacts], scores: Mapping[str, float]) -> dict[str, str]:
    """Return the teachers to leave out: of each pair the one with the lower score, and the one it repeats.

    Args:
        pairs: redundant pairs.
        scores: of each teacher, higher is better; of equal scores the first teacher stays.
    """
    found: dict[str, str] = {}
    for pair in pairs:
        kept, dropped = pair.teachers
        if scores[dropped] > scores[kept]:
            kept, dropped = dropped, kept
        if kept not in found:
            found.setdefault(dropped, kept)
    return found
