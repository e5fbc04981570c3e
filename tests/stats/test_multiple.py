"""Tests that are read together."""

from __future__ import annotations

import numpy as np
import pytest

from mtkd_cli import counter_rng
from mtkd_cli.stats.estimate import Estimate, independent_difference
from mtkd_cli.stats.multiple import holm, not_surely_worse
from mtkd_cli.stats.paired_test import paired_t_test


def test_holms_correction_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03]) == [pytest.approx(0.03), pytest.approx(0.06), pytest.approx(0.06)]
    assert holm([0.6, 0.5]) == [1.0, 1.0]
    assert holm([]) == []


def best_of(scores: np.ndarray) -> list[int]:
    """Which rows of ``[methods, seeds]`` are not surely worse than another."""
    return not_surely_worse(len(scores), lambda a, b: paired_t_test(list(scores[a] - scores[b])).p_positive)


def test_of_ten_equal_methods_the_best_is_seldom_left_out() -> None:
    draws = counter_rng.generator("ten equal")
    kept = [best_of(draws.normal(size=(10, 5)) + draws.normal(size=5)) for _ in range(80)]
    assert np.mean([0 not in each for each in kept]) <= 0.05 + 2 * (0.05 * 0.95 / 80) ** 0.5
    assert np.mean([len(each) for each in kept]) > 9


def test_methods_that_are_surely_worse_are_left_out() -> None:
    noise = counter_rng.generator("worse").normal(0, 0.01, size=(4, 8))
    assert best_of(np.array([[0.9], [0.5], [0.9], [0.1]]) + noise) == [0, 2]
    assert best_of(noise[:1]) == [0]


def test_a_difference_of_other_samples_is_newcombes() -> None:
    """Newcombe (1998), method 10: 56 of 70 less 48 of 80 is 0.0524 to 0.3339."""
    from mtkd_cli.stats.shares import share

    found = independent_difference(share(56, 70), share(48, 80))
    assert found.value == pytest.approx(0.2)
    assert (found.low, found.high) == (pytest.approx(0.0524, abs=1e-4), pytest.approx(0.3339, abs=1e-4))
    assert not independent_difference(Estimate(1, 0, 2), Estimate(0, -np.inf, np.inf)).sure
