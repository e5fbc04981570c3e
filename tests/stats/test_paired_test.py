"""The paired t test is the textbook's."""

from __future__ import annotations

import math

import pytest
from scipy import stats

from mtkd_cli.stats.paired_test import paired_t_test


@pytest.mark.parametrize("gains", [[1.0, 2.0, 4.0], [0.3, -0.1, 0.2], [0.01, 0.02, 0.03, 0.0, 0.05]])
def test_p_and_interval_are_those_of_scipy(gains: list[float]) -> None:
    found, wanted = paired_t_test(gains), stats.ttest_1samp(gains, 0.0)
    assert found.p == pytest.approx(wanted.pvalue)
    assert (found.low, found.high) == pytest.approx(tuple(wanted.confidence_interval(0.95)))
    assert found.p_positive == pytest.approx(stats.ttest_1samp(gains, 0.0, alternative="greater").pvalue)


@pytest.mark.parametrize("gains", [[0.5], [0.5, 0.5], [0.5, 0.5001]])
def test_one_or_two_seeds_give_no_interval(gains: list[float]) -> None:
    found = paired_t_test(gains)
    assert (found.low, found.high) == (-math.inf, math.inf)
    assert (found.p, found.p_positive) == (1.0, 1.0)
    assert found.gain == pytest.approx(0.5, abs=1e-3)


def test_deviation_is_at_least_the_resolution() -> None:
    assert paired_t_test([0.01, 0.01, 0.01], 0.01).deviation == 0.01
    assert paired_t_test([0.01, 0.01, 0.01], 0.01).p > 0.05
    assert paired_t_test([0.0, 0.0, 0.0], 0.01).p == 1.0
