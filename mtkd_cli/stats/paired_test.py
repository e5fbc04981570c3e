"""Is one better than the other? A paired t test over seeds, corrected for the family, and a word."""

from __future__ import annotations

import bisect
import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from mtkd_cli.interfaces.significant_digits import rounded
from mtkd_cli.stats.multiple import holm

LEVEL = 0.05
"""Share of true nulls that are rejected, both directions together; half of it is a false BEATS."""
POWER = 0.8
"""Chance of a sure answer that the number of seeds "to settle it" is for."""
MOST_SEEDS = 1000

BEATS, DOES_NOT_BEAT, INCONCLUSIVE = "BEATS", "DOES NOT BEAT", "INCONCLUSIVE"


@dataclass(frozen=True)
class Paired:
    """Gains of one over another, seed by seed; positive is better.

    Attributes:
        gain: their mean.
        deviation: their standard deviation; NaN of one seed.
        low, high: Student's 95 % interval of the mean; infinite of one seed.
        p: of no difference, two-sided; 1 of one seed.
    """

    seeds: int
    gain: float
    deviation: float
    low: float
    high: float
    p: float

    @property
    def p_positive(self) -> float:
        """One-sided p value: small if the gain is surely positive."""
        return self.p / 2 if self.gain > 0 else 1 - self.p / 2


@dataclass(frozen=True)
class Verdict:
    """The word, what it rests on, and with how many seeds it might be settled.

    Attributes:
        p_holm: the p value after Holm's correction over the family that was tested.
        seeds_to_settle: for a sure answer with 80 % chance, if gain and deviation are as measured;
            None where it is settled, or where even 1,000 seeds would not do.
    """

    word: str
    paired: Paired
    p_holm: float
    seeds_to_settle: int | None

    def as_dict(self) -> dict[str, Any]:
        """Return the verdict for JSON; what is not finite is None."""
        facts = {**vars(self.paired), "p_holm": self.p_holm, "seeds_to_settle": self.seeds_to_settle}
        plain = {name: rounded(v) if isinstance(v, float) else v for name, v in facts.items()}
        return {"word": self.word} | plain


def paired(gains: Sequence[float], resolution: float = 0.0) -> Paired:
    """Return the paired t test of gains, one a seed.

    Args:
        gains: better is positive.
        resolution: smallest difference that one test sample makes. The deviation counts as no
            smaller: scores that happen to fall on the same step are no certainty.
    """
    from scipy.stats import t

    count, mean = len(gains), statistics.fmean(gains)
    if count < 2:
        return Paired(count, mean, math.nan, -math.inf, math.inf, 1.0)
    deviation = max(statistics.stdev(gains), resolution)
    if deviation == 0:
        return Paired(count, mean, 0.0, mean, mean, 0.0 if mean else 1.0)
    error = deviation / math.sqrt(count)
    half = float(t.ppf(1 - LEVEL / 2, count - 1)) * error
    p = 2 * float(t.sf(abs(mean) / error, count - 1))
    return Paired(count, mean, deviation, mean - half, mean + half, p)


def judge(family: Sequence[Paired]) -> list[Verdict]:
    """Return the verdicts of tests that are read together: the more there are, the harder each is.

    Holm (1979): with probability 95 % none of the family is a wrong BEATS or DOES NOT BEAT, whatever
    their dependence.
    """
    adjusted = holm([test.p for test in family])
    return [
        Verdict(_word(test, p), test, p, None if p < LEVEL else seeds_to_settle(test, len(family)))
        for test, p in zip(family, adjusted, strict=True)
    ]


def _word(test: Paired, p: float) -> str:
    if p >= LEVEL:
        return INCONCLUSIVE
    return BEATS if test.gain > 0 else DOES_NOT_BEAT


def seeds_to_settle(
    test: Paired, family: int, level_at: Callable[[int], float] = lambda seeds: LEVEL
) -> int | None:
    """Return how many seeds would settle it with 80 % chance if gain and deviation are as measured.

    The level is the one that the first test of a family has to pass.

    Args:
        test: what was measured.
        family: number of tests that are read together.
        level_at: level of the test with so many seeds; see `sequential`.
    """
    from scipy.stats import nct, t

    if not test.deviation or math.isnan(test.deviation) or test.gain == 0:
        return None
    effect = abs(test.gain) / test.deviation

    def power(count: int) -> float:
        limit = t.ppf(1 - level_at(count) / family / 2, count - 1)
        return float(nct.sf(limit, count - 1, effect * math.sqrt(count)))

    if effect * math.sqrt(MOST_SEEDS) < 2 or power(MOST_SEEDS) < POWER:
        return None
    counts = range(test.seeds + 1, MOST_SEEDS)
    return test.seeds + 1 + bisect.bisect_left(counts, POWER, key=power)
