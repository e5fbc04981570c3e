"""Paired t tests over seeds, corrected for the number of tests, and their verdicts."""

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
"""Probability of a false verdict, both directions together; half of it for a false BEATS."""
POWER = 0.8
"""Probability of a conclusive verdict with `Verdict.seeds_to_settle` seeds."""
MOST_SEEDS = 1000

BEATS, DOES_NOT_BEAT, INCONCLUSIVE = "BEATS", "DOES NOT BEAT", "INCONCLUSIVE"


@dataclass(frozen=True)
class Paired:
    """Paired t test of the gains of one student over another, one gain per seed; positive is better.

    Attributes:
        seeds: number of seeds.
        gain: mean gain.
        deviation: standard deviation of the gains; NaN with one seed.
        low, high: Student's 95 % interval of the mean gain; infinite with one seed.
        p: two-sided p value of "no gain"; 1 with one seed.
    """

    seeds: int
    gain: float
    deviation: float
    low: float
    high: float
    p: float

    @property
    def p_positive(self) -> float:
        """One-sided p value of "no positive gain"."""
        return self.p / 2 if self.gain > 0 else 1 - self.p / 2


@dataclass(frozen=True)
class Verdict:
    """The verdict of a paired test.

    Attributes:
        word: ``BEATS``, ``DOES NOT BEAT`` or ``INCONCLUSIVE``.
        paired: the test.
        p_holm: p value after Holm's correction for all tests of the family.
        seeds_to_settle: number of seeds for a conclusive verdict with probability 80 %, if gain and deviation
            are as measured; None if the verdict is conclusive, or if 1,000 seeds do not suffice.
    """

    word: str
    paired: Paired
    p_holm: float
    seeds_to_settle: int | None

    def as_dict(self) -> dict[str, Any]:
        """Return the verdict for JSON; None replaces non-finite numbers."""
        facts = {**vars(self.paired), "p_holm": self.p_holm, "seeds_to_settle": self.seeds_to_settle}
        plain = {name: rounded(v) if isinstance(v, float) else v for name, v in facts.items()}
        return {"word": self.word} | plain


def paired(gains: Sequence[float], resolution: float = 0.0) -> Paired:
    """Return the paired t test of gains.

    Args:
        gains: one gain per seed; positive is better.
        resolution: effect of one test sample on the gain, the minimum deviation: equal scores may be a
            coincidence of rounding.
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
    """Return the verdicts of a family of tests, with Holm's correction (1979) for their number.

    The probability of any false BEATS or DOES NOT BEAT in the family is at most 5 %, for any dependence.
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
    """Return the number of seeds for a conclusive verdict with probability 80 %.

    It assumes that gain and deviation stay as measured, and uses the level of the first test in Holm's order.

    Args:
        test: the test so far.
        family: number of tests in the family.
        level_at: function from a number of seeds to the level of the test; see `sequential`.

    Returns:
        The number of seeds; None if the gain or its deviation is 0, or if 1,000 seeds do not suffice.
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
