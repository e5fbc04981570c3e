"""The statistics of an audit are those of textbooks."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest

from mtkd_cli.audit.per_teacher import _mostly_wrong, _rank_correlation


def wilson_upper(right: int, count: int) -> float:
    """Wilson (1927), the upper end of the 95 % interval."""
    z, share = 1.959963984540054, right / count
    spread = z * math.sqrt(share * (1 - share) / count + z**2 / (4 * count**2))
    return (share + z**2 / (2 * count) + spread) / (1 + z**2 / count)


@pytest.mark.parametrize("count", [5, 6, 10, 37, 100])
def test_mostly_wrong_is_where_wilsons_interval_ends_below_one_half(count: int) -> None:
    wanted = [wilson_upper(right, count) < 0.5 for right in range(count + 1)]
    assert [_mostly_wrong(right, count) for right in range(count + 1)] == wanted
    assert any(wanted)


def test_as_many_labels_as_a_segmentation_has_are_judged_too() -> None:
    assert _mostly_wrong(49_980_000, 100_000_000)
    assert not _mostly_wrong(49_995_000, 100_000_000)


def test_errors_are_correlated_by_rank() -> None:
    """Without ties Spearman's is 1 - 6 sum d^2 / (n (n^2 - 1)); ties take the mean of their ranks."""
    first, second = np.array([1.0, 20.0, 3.0, 400.0, 5.0]), np.array([0.2, 0.1, 0.9, 5.0, 0.3])
    squares = (1 - 2) ** 2 + (4 - 1) ** 2 + (2 - 4) ** 2 + (5 - 5) ** 2 + (3 - 3) ** 2
    assert _rank_correlation(first, second) == pytest.approx(1 - 6 * squares / (5 * 24), abs=1e-12)
    ranks = [1.5, 1.5, 3.0, 4.0], [1.0, 3.0, 3.0, 3.0]
    found = _rank_correlation(np.array([0.0, 0.0, 1.0, 9.0]), np.array([1.0, 2.0, 2.0, 2.0]))
    assert found == pytest.approx(np.corrcoef(ranks)[0, 1], abs=1e-12)


def test_samples_that_one_has_no_error_on_are_left_out() -> None:
    first, second = np.array([1.0, 2.0, 3.0, np.nan, 0.0]), np.array([1.0, 2.0, 3.0, 0.0, np.inf])
    assert _rank_correlation(first, second) == pytest.approx(1.0)


@pytest.mark.parametrize("first", [[1.0, 1.0, 1.0, 1.0], [1.0, 2.0, np.nan, np.nan]])
def test_too_few_or_constant_errors_have_no_correlation(first: list[float]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert _rank_correlation(np.array(first), np.arange(4.0)) is None
