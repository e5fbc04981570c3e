"""Intervals of metrics that are no shares."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from mtkd_cli import counter_rng
from mtkd_cli.stats import jackknife
from mtkd_cli.stats.score import Score, mean_of

LIMIT = 0.05 + 2 * math.sqrt(0.05 * 0.95 / 1000)
"""Share of false alarms in 1,000 simulations that 5 % explain."""


def rmse(errors: NDArray[np.float64]) -> Score:
    """The score of one model's errors."""
    squared = errors**2
    without = np.sqrt((squared.sum() - squared) / (len(squared) - 1))
    return Score(float(np.sqrt(squared.mean())), len(errors), without)


def test_of_a_mean_it_is_students_interval() -> None:
    x = counter_rng.generator("uniform").uniform(size=40)
    x = np.concatenate([x, 1 - x])  # not skewed, and a low kurtosis: N - 1 degrees of freedom
    found = mean_of(x, np.ones(80))
    expected = stats.ttest_1samp(x, 0.4)
    ends = expected.confidence_interval()
    assert found.value == pytest.approx(x.mean())
    interval = found.estimate()
    assert (interval.low, interval.high) == (
        pytest.approx(ends.low, rel=1e-4),
        pytest.approx(ends.high, rel=1e-4),
    )
    shifted = mean_of(x - 0.4, np.ones(80)).minus(mean_of(np.zeros(80), np.ones(80)))
    assert shifted.p == pytest.approx(expected.pvalue)
    assert shifted.sure == (shifted.p < 0.05)


def test_equal_answers_differ_by_nothing() -> None:
    errors = counter_rng.generator("errors").normal(size=50)
    found = rmse(errors).minus(rmse(errors))
    assert (found.value, found.low, found.high, found.p) == (0.0, 0.0, 0.0, 1.0)


def test_fewer_than_twenty_samples_give_no_interval() -> None:
    errors = counter_rng.generator("errors").normal(size=19)
    found = rmse(errors).minus(rmse(9 * errors))
    assert not found.sure
    assert found.p == 1.0
    assert found.as_dict() == {"value": pytest.approx(found.value, rel=1e-6)}


def test_many_samples_are_left_out_in_groups_and_give_the_same_error() -> None:
    x = counter_rng.generator("many").normal(size=3000)
    assert sorted(np.concatenate(jackknife.groups_of(3000))) == list(range(3000))
    without = jackknife.without_each(lambda rows: float(x[rows].mean()), 3000)
    assert len(without) == 500
    found = jackknife.interval(x.mean(), without, 3000)
    assert (found.high - found.low) / 2 == pytest.approx(1.96 * x.std() / 3000**0.5, rel=0.1)


@pytest.mark.parametrize("differing", [3, 6, 10])
def test_a_few_samples_that_differ_are_seldom_sure(differing: int) -> None:
    draws = counter_rng.generator("differ", differing)
    sure = 0
    for _ in range(1000):
        first = np.abs(draws.normal(size=100))
        second = first.copy()
        second[:differing] = draws.permutation(np.abs(draws.normal(size=differing)))
        sure += rmse(first).minus(rmse(second)).sure
    assert sure / 1000 <= LIMIT


@pytest.mark.parametrize("samples", [20, 50, 200])
@pytest.mark.parametrize("tail", [math.inf, 3])
def test_models_of_equal_error_are_seldom_told_apart(samples: int, tail: float) -> None:
    draws = counter_rng.generator("equal", samples, str(tail))
    noise = draws.normal if tail == math.inf else (lambda size: draws.standard_t(tail, size))
    sure = 0
    for _ in range(1000):
        shared = noise(size=samples)
        first, second = (rmse(shared + 0.5 * noise(size=samples)) for _ in range(2))
        sure += first.minus(second).sure
    assert sure / 1000 <= LIMIT


def test_the_interval_of_an_error_covers_it() -> None:
    draws = counter_rng.generator("cover")
    found = [rmse(draws.normal(size=50)).estimate() for _ in range(1000)]
    assert np.mean([e.low <= 1.0 <= e.high for e in found]) >= 1 - LIMIT
