"""The statistics of an audit against their formulas."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest

from mtkd_cli.audit.per_teacher import _p_mostly_wrong, _rank_correlation


@pytest.mark.parametrize(("right", "count"), [(0, 5), (2, 9), (6, 12), (30, 37)])
def test_mostly_wrong_is_an_exact_binomial_test(right: int, count: int) -> None:
    found = np.ones((count, 2))
    found[right:, 1] = 0
    tail = sum(math.comb(count, k) for k in range(right + 1)) / 2**count
    assert _p_mostly_wrong(np.vstack([found, np.zeros((3, 2))])) == pytest.approx(tail)
    assert _p_mostly_wrong(found[:4]) is None


def test_pixels_of_an_image_are_not_independent() -> None:
    """40 of 100 images are right everywhere, the others nowhere: 40 of 100, not 4,000 of 10,000."""
    images = np.full((100, 2), 100.0)
    images[40:, 1] = 0
    found = _p_mostly_wrong(images)
    assert found is not None
    assert 0.01 < found < 0.04
    few = _p_mostly_wrong(images[30:45])
    assert few == 0.5, "fewer than 20 images have no interval"


def test_rank_correlation_of_errors() -> None:
    """Without ties Spearman's is 1 - 6 sum d^2 / (n (n^2 - 1)); ties take the mean of their ranks."""
    first, second = np.array([1.0, 20.0, 3.0, 400.0, 5.0]), np.array([0.2, 0.1, 0.9, 5.0, 0.3])
    squares = (1 - 2) ** 2 + (4 - 1) ** 2 + (2 - 4) ** 2 + (5 - 5) ** 2 + (3 - 3) ** 2
    assert _rank_correlation(first, second) == pytest.approx(1 - 6 * squares / (5 * 24), abs=1e-12)
    ranks = [1.5, 1.5, 3.0, 4.0], [1.0, 3.0, 3.0, 3.0]
    found = _rank_correlation(np.array([0.0, 0.0, 1.0, 9.0]), np.array([1.0, 2.0, 2.0, 2.0]))
    assert found == pytest.approx(np.corrcoef(ranks)[0, 1], abs=1e-12)


def test_samples_without_an_error_are_left_out() -> None:
    first, second = np.array([1.0, 2.0, 3.0, np.nan, 0.0]), np.array([1.0, 2.0, 3.0, 0.0, np.inf])
    assert _rank_correlation(first, second) == pytest.approx(1.0)


@pytest.mark.parametrize("first", [[1.0, 1.0, 1.0, 1.0], [1.0, 2.0, np.nan, np.nan]])
def test_too_few_or_constant_errors_have_no_correlation(first: list[float]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert _rank_correlation(np.array(first), np.arange(4.0)) is None
