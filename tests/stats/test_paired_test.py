"""Verdicts are right on constructed cases."""

from __future__ import annotations

import math

import numpy as np
import pytest

from mtkd_cli import counter_rng
from mtkd_cli.stats.paired_test import (
    BEATS,
    DOES_NOT_BEAT,
    INCONCLUSIVE,
    Paired,
    judge,
    paired,
    seeds_to_settle,
)


def word(gains: list[float], resolution: float = 0.0) -> str:
    return judge([paired(gains, resolution)])[0].word


def test_the_test_is_the_textbooks() -> None:
    found = paired([1.0, 2.0, 3.0])
    assert (found.gain, found.deviation) == (2.0, 1.0)
    assert found.p == pytest.approx(0.074180, abs=1e-6), "t = 3.4641, two degrees of freedom"
    assert (found.low, found.high) == (pytest.approx(2 - 2.48414, abs=1e-5), pytest.approx(4.48414, abs=1e-5))


@pytest.mark.parametrize("gains", [[1.0, 4.0], [0.02, -0.01], [1.0, 2.0, 4.0], [0.3, -0.1, 0.2]])
def test_p_and_interval_are_the_closed_forms_of_students_t(gains: list[float]) -> None:
    """Of one and two degrees of freedom the distribution and its quantiles are elementary."""
    found, error = paired(gains), np.std(gains, ddof=1) / len(gains) ** 0.5
    t = abs(np.mean(gains)) / error
    if len(gains) == 2:
        p, quantile = 1 - 2 * math.atan(t) / math.pi, math.tan(0.475 * math.pi)
    else:
        p, quantile = 1 - t / math.sqrt(2 + t * t), 0.95 * math.sqrt(2 / (1 - 0.95**2))
    assert found.p == pytest.approx(p, abs=1e-9)
    assert found.high - found.gain == pytest.approx(quantile * error, rel=1e-9)
    assert found.gain - found.low == pytest.approx(quantile * error, rel=1e-9)


def test_a_gain_of_many_points_beats_and_harm_does_not() -> None:
    assert word([0.10, 0.11, 0.09]) == BEATS
    assert word([-0.10, -0.11, -0.09]) == DOES_NOT_BEAT
    assert word([0.10, -0.11, 0.05]) == INCONCLUSIVE


@pytest.mark.parametrize("seeds", [2, 3, 5, 10])
def test_identical_methods_seldom_beat_each_other(seeds: int) -> None:
    draws = counter_rng.generator("verdict", seeds)
    scores = draws.normal(0.9, 0.01, size=(1000, 2, seeds))
    words = [word(list(mine - theirs)) for mine, theirs in scores]
    assert words.count(BEATS) <= 35
    assert words.count(DOES_NOT_BEAT) <= 35


@pytest.mark.parametrize("methods", [1, 4, 10])
def test_in_a_grid_of_identical_methods_a_false_beats_is_as_seldom(methods: int) -> None:
    draws = counter_rng.generator("verdict grid", methods)
    seed = draws.normal(0, 0.01, size=(1000, 1, 3))
    alone = seed + draws.normal(0.9, 0.005, size=(1000, 1, 3))
    scores = seed + draws.normal(0.9, 0.005, size=(1000, methods, 3))
    grids = (judge([paired(list(gains)) for gains in grid]) for grid in scores - alone)
    wrong = sum(any(verdict.word == BEATS for verdict in grid) for grid in grids)
    assert wrong <= 35


def test_identical_methods_on_few_test_samples_are_no_certainty_either() -> None:
    draws = counter_rng.generator("verdict steps")
    right = draws.binomial(100, 0.9, size=(1000, 2, 3)) / 100
    words = [word(list(mine - theirs), 0.9 / 100) for mine, theirs in right]
    assert words.count(BEATS) <= 35
    assert word([0.01, 0.01, 0.01], 0.01) == INCONCLUSIVE, "one sample more, three times"
    assert word([0.0, 0.0, 0.0], 0.01) == INCONCLUSIVE


def test_real_gains_are_mostly_found_with_the_seeds_that_are_said_to_settle_it() -> None:
    pilot = Paired(3, 0.01, 0.01, math.nan, math.nan, 0.2)
    needed = seeds_to_settle(pilot, family=1)
    assert needed == 10, "effect 1, level 5 %, power 80 %: the tables of the paired t test"
    draws = counter_rng.generator("verdict power").normal(0.01, 0.01, size=(400, needed))
    share = np.mean([word(list(gains)) == BEATS for gains in draws])
    assert 0.74 < share < 0.9


@pytest.mark.parametrize("effect", [2.4537511066398165, 4.0, 9.0])
def test_a_large_gain_that_two_seeds_leave_open_takes_a_few_more(effect: float) -> None:
    needed = seeds_to_settle(Paired(2, effect, 1.0, math.nan, math.nan, 0.2), family=1)
    assert needed in (3, 4)

    def found(seeds: int) -> float:
        """Return the share of experiments whose t exceeds the 5 % limit of the tables."""
        gains = counter_rng.generator("few seeds", seeds).normal(effect, 1.0, size=(20_000, seeds))
        t = gains.mean(axis=1) / gains.std(axis=1, ddof=1) * seeds**0.5
        return float(np.mean(t > {2: 12.706, 3: 4.303, 4: 3.182}[seeds]))

    assert found(needed) >= 0.8
    assert needed == 3 or found(needed - 1) < 0.8


def test_more_methods_ask_for_more() -> None:
    strong, weak = paired([0.030, 0.034, 0.026]), paired([0.02, 0.01, 0.03])
    alone = judge([strong])[0]
    among = judge([strong, weak, weak, weak, weak])
    assert alone.word == BEATS
    assert among[0].p_holm == pytest.approx(5 * strong.p)
    assert among[1].p_holm == pytest.approx(min(1.0, 4 * weak.p))
    assert [verdict.word for verdict in among[1:]] == [INCONCLUSIVE] * 4


def test_one_seed_says_nothing_and_no_number_of_seeds_settles_no_difference() -> None:
    verdict = judge([paired([0.5])])[0]
    assert (verdict.word, verdict.seeds_to_settle) == (INCONCLUSIVE, None)
    assert verdict.as_dict()["low"] is None
    assert judge([paired([0.0, 0.0])])[0].seeds_to_settle is None
    assert judge([paired([0.001, -0.0009, 0.0])])[0].seeds_to_settle is None
    assert judge([]) == []
