"""A subset of the rows stands for all of them, whatever their order."""

import numpy as np
import pytest

from mtkd_cli.data.subset import sample_rows, shuffled_sample_rows


def test_sample_rows_represents_sorted_classes() -> None:
    labels = np.repeat(np.arange(10), [100, 900] * 5)
    chosen = labels[sample_rows(np.arange(len(labels)), 500)]
    assert np.abs(np.bincount(chosen) - np.array([10, 90] * 5)).max() <= 1


@pytest.mark.parametrize("period", [2, 7, 10, 100])
def test_sample_rows_ignores_periods(period: int) -> None:
    labels = np.arange(10_000) % period == 0
    share = labels[sample_rows(np.arange(10_000), 1000)].mean()
    assert share == pytest.approx(1 / period, abs=4 * np.sqrt(1 / period / 1000))


@pytest.mark.parametrize(("rows", "count"), [(5, 9), (9, 9), (10, 9), (1000, 1), (1000, 0)])
def test_sample_rows_are_distinct_and_ordered(rows: int, count: int) -> None:
    chosen = sample_rows(np.arange(rows) * 3, count)
    assert len(chosen) == min(rows, max(1, count))
    assert (np.diff(chosen) > 0).all()
    assert np.isin(chosen, np.arange(rows) * 3).all()


def test_every_shuffled_batch_has_all_classes() -> None:
    labels = np.repeat(np.arange(10), 1000)
    rows = shuffled_sample_rows(np.arange(len(labels)), 512)
    assert len(set(rows)) == 512
    assert all(len(set(labels[batch])) == 10 for batch in np.array_split(rows, 2))


def test_sample_rows_is_reproducible() -> None:
    rows = np.arange(5000)
    assert np.array_equal(shuffled_sample_rows(rows, 300), shuffled_sample_rows(rows, 300))
