"""Intervals and tests of shares are the textbooks'."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy import stats

from mtkd_cli import counter_rng
from mtkd_cli.stats.shares import paired_difference, share


def test_a_share_of_all_samples_is_no_certainty() -> None:
    found = share(20, 20)
    assert (found.value, found.high) == (1.0, 1.0)
    assert found.low == pytest.approx(20 / (20 + 1.959964**2)), "Wilson's closed form at 20 of 20"
    assert share(0, 0).sure is False


def test_the_p_value_is_the_exact_sign_test_of_the_samples_that_differ() -> None:
    assert paired_difference(3, 0, 100).p == pytest.approx(2 / 2**3)
    assert paired_difference(6, 0, 100).p == pytest.approx(2 / 2**6)
    assert paired_difference(9, 1, 100).p == pytest.approx(2 * (1 + 10) / 2**10)
    assert paired_difference(5, 5, 100).p == 1.0
    assert paired_difference(0, 0, 100).p == 1.0


def test_the_interval_is_at_least_the_published_score_interval() -> None:
    """Tango (1998): 43 of 86 discordant one way 0.3966 to 0.6034; 9 against 2 of 32 0.0178 to 0.4112."""
    far = paired_difference(43, 0, 86)
    assert (far.low, far.high) == (pytest.approx(0.3966, abs=1e-4), pytest.approx(0.6034, abs=1e-4))
    near = paired_difference(9, 2, 32)
    assert near.low <= 0.0178
    assert near.high == pytest.approx(0.4112, abs=1e-4)


@pytest.mark.parametrize("samples", [6, 23])
def test_the_interval_excludes_zero_exactly_where_the_test_rejects(samples: int) -> None:
    for first, second in itertools.product(range(samples + 1), repeat=2):
        if first + second <= samples:
            found = paired_difference(first, second, samples)
            assert found.low <= found.value <= found.high
            assert found.low >= -1
            assert found.high <= 1
            assert found.sure == (found.p < 0.05), (first, second)
            turned = paired_difference(second, first, samples)
            assert (turned.low, turned.high) == (pytest.approx(-found.high), pytest.approx(-found.low))


@pytest.mark.parametrize(("first", "second"), [(0.1, 0.1), (0.1, 0.02), (0.3, 0.0)])
def test_it_covers_the_difference_whatever_its_size(first: float, second: float) -> None:
    shares = [first, second, 1 - first - second]
    drawn = counter_rng.generator("coverage", str(first), str(second)).multinomial(50, shares, size=500)
    found = [paired_difference(int(a), int(b), 50) for a, b, _ in drawn]
    covered = np.mean([e.low - 1e-9 <= first - second <= e.high + 1e-9 for e in found])
    assert covered >= 0.93, "0.95 less two standard errors"


@pytest.mark.parametrize("differing", [3, 6, 10, 40])
def test_equal_models_are_seldom_told_apart_however_few_samples_differ(differing: int) -> None:
    chances = stats.binom(differing, 0.5).pmf(range(differing + 1))
    sure = [paired_difference(wins, differing - wins, 539).sure for wins in range(differing + 1)]
    assert chances[sure].sum() <= 0.05
