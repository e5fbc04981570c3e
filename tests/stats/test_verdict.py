"""Verdicts are right on constructed cases, and rarely wrong on equal methods."""

from __future__ import annotations

import pytest

from mtkd_cli import counter_rng
from mtkd_cli.stats.paired_test import paired_t_test
from mtkd_cli.stats.sequential import Look
from mtkd_cli.stats.verdict import BEATS, DOES_NOT_BEAT, INCONCLUSIVE, judge


def word(gains: list[float], resolution: float = 0.0, seen: int = 0) -> str:
    return judge([paired_t_test(gains, resolution)], Look(len(gains), seen))[0].word


def test_large_gain_beats_and_large_loss_does_not_beat() -> None:
    assert word([0.10, 0.11, 0.09]) == BEATS
    assert word([-0.10, -0.11, -0.09]) == DOES_NOT_BEAT
    assert word([0.10, -0.11, 0.05]) == INCONCLUSIVE


def test_two_seeds_are_inconclusive() -> None:
    assert word([0.1, 0.1001]) == INCONCLUSIVE
    assert judge([paired_t_test([0.1, 0.1001])], Look(2))[0].seeds_to_settle is None
    assert judge([], Look(2)) == []


def test_seeds_that_were_compared_before_settle_nothing_new() -> None:
    gains = [0.10, 0.11, 0.09]
    assert word(gains, seen=2) == BEATS
    assert word(gains, seen=3) == INCONCLUSIVE


@pytest.mark.parametrize("seeds", [2, 3, 5, 10])
def test_equal_methods_rarely_beat_each_other(seeds: int) -> None:
    draws = counter_rng.generator("verdict", seeds)
    scores = draws.normal(0.9, 0.01, size=(1000, 2, seeds))
    words = [word(list(first - second)) for first, second in scores]
    assert words.count(BEATS) <= 35
    assert words.count(DOES_NOT_BEAT) <= 35


@pytest.mark.parametrize("methods", [1, 4, 10])
def test_grids_of_equal_methods_rarely_have_a_winner(methods: int) -> None:
    draws = counter_rng.generator("verdict grid", methods)
    seed = draws.normal(0, 0.01, size=(500, 1, 3))
    alone = seed + draws.normal(0.9, 0.005, size=(500, 1, 3))
    scores = seed + draws.normal(0.9, 0.005, size=(500, methods, 3))
    grids = (judge([paired_t_test(list(gains)) for gains in grid], Look(3)) for grid in scores - alone)
    assert sum(any(verdict.word == BEATS for verdict in grid) for grid in grids) <= 18


def test_equal_methods_with_few_test_samples_rarely_beat_each_other() -> None:
    draws = counter_rng.generator("verdict steps")
    right = draws.binomial(100, 0.9, size=(1000, 2, 3)) / 100
    words = [word(list(first - second), 0.9 / 100) for first, second in right]
    assert words.count(BEATS) <= 35
    assert word([0.01, 0.01, 0.01], 0.01) == INCONCLUSIVE, "one more sample with each seed"


def test_p_is_corrected_for_the_number_of_methods() -> None:
    strong, weak = paired_t_test([0.030, 0.034, 0.026]), paired_t_test([0.02, 0.01, 0.03])
    assert judge([strong], Look(3))[0].word == BEATS
    among = judge([strong, weak, weak, weak, weak], Look(3))
    assert among[0].p_holm == pytest.approx(5 * strong.p)
    assert among[1].p_holm == pytest.approx(min(1.0, 4 * weak.p))
    assert [verdict.word for verdict in among[1:]] == [INCONCLUSIVE] * 4
