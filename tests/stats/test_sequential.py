"""Adding seeds and comparing again keeps the error rate, and the advice is mostly right."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from mtkd_cli import counter_rng
from mtkd_cli.stats.paired_test import Paired, paired_t_test
from mtkd_cli.stats.sequential import LIKELY, Look, seeds_to_settle


def levels_of(looks: list[int]) -> list[float]:
    return [Look(seeds, seen).level for seen, seeds in zip([0, *looks], looks, strict=False)]


@pytest.mark.parametrize("looks", [[3, 10], [3, 4, 5, 6], [3, 6, 12, 24, 1000]])
def test_levels_of_all_looks_add_up_to_five_percent_at_most(looks: list[int]) -> None:
    assert all(level > 0 for level in levels_of(looks))
    assert sum(levels_of(looks)) < 0.05


def test_looks_that_claim_nothing_spend_nothing() -> None:
    assert levels_of([1, 2]) == [0.0, 0.0]
    assert Look(3, seen=2).level == Look(3).level == pytest.approx(0.025)


def test_seeds_that_were_seen_have_no_level_left() -> None:
    assert Look(5, seen=5).level == 0.0


def test_following_the_advice_keeps_the_error_rate() -> None:
    draws = counter_rng.generator("advice")
    wrong = again = 0
    for _ in range(2000):
        gains = draws.normal(size=30)
        first, look = paired_t_test(list(gains[:3])), Look(3)
        if first.p < look.level:
            wrong += 1
            continue
        advised = seeds_to_settle(first, 1, look)
        if advised is not None:
            again += 1
            wrong += paired_t_test(list(gains[:advised])).p < Look(advised, 3).level
    assert again < 500, "seeds are rarely advised where there is nothing to find"
    assert wrong / 2000 <= 0.05 + 2 * (0.05 * 0.95 / 2000) ** 0.5


@pytest.mark.parametrize("effect", [1.0, 2.0])
def test_advised_seeds_mostly_settle_a_real_gain(effect: float) -> None:
    draws = counter_rng.generator("real", int(effect)).normal(effect, 1.0, size=(400, 30))
    found = []
    for gains in draws:
        first, look = paired_t_test(list(gains[:3])), Look(3)
        advised = seeds_to_settle(first, 1, look)
        if first.p >= look.level and advised is not None:
            found.append(paired_t_test(list(gains[:advised])).p < Look(advised, 3).level)
    assert len(found) > 100
    assert np.mean(found) >= 0.65


def test_chance_is_the_predictive_one() -> None:
    """Draw the true gain and deviation from their posteriors, and the further seeds from these."""
    first = Paired(3, 2.0, 1.0, np.nan, np.nan, 0.07)
    advised = seeds_to_settle(first, 1, Look(3))
    assert advised is not None
    rng, more = np.random.default_rng(0), advised - 3
    deviation = np.sqrt(2 / stats.chi2.rvs(2, size=(20_000, 1), random_state=rng))
    mean = rng.normal(2.0, deviation / np.sqrt(3))
    before = np.broadcast_to(2.0 + np.array([-1.0, 0.0, 1.0]), (20_000, 3))  # mean 2, deviation 1

    def chance(count: int) -> float:
        gains = np.concatenate([before, rng.normal(mean, deviation, size=(20_000, count))], axis=1)
        p = stats.ttest_1samp(gains, 0.0, axis=1).pvalue
        return float(np.mean((p < Look(3 + count, 3).level) & (gains.mean(axis=1) > 0)))

    assert chance(more) >= LIKELY - 0.02
    assert chance(more - 1) < LIKELY + 0.02


@pytest.mark.parametrize("gains", [[0.5], [0.5, 0.6], [0.0, 0.0, 0.0], [0.001, -0.0009, 0.0]])
def test_no_advice_without_a_likely_number(gains: list[float]) -> None:
    assert seeds_to_settle(paired_t_test(gains), 1, Look(len(gains))) is None


def test_more_methods_need_more_seeds() -> None:
    first = paired_t_test([0.9, 2.0, 1.0])
    one, four = (seeds_to_settle(first, family, Look(3)) for family in (1, 4))
    assert one is not None
    assert four is None or four > one
