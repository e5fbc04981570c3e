"""Data source `digits`."""

from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_digits

from mtkd_cli.data.dataset import load
from mtkd_cli.recipe.schema import Data
from mtkd_cli.testing import cache_in
from mtkd_data import digits
from mtkd_data.digits import Digits


def test_contains_all_digits_as_uint8(tmp_path: Path) -> None:
    source = Digits().load(cache_in(tmp_path))
    assert source.classes == tuple("0123456789")
    assert source.train.inputs.shape == (1797, 1, 8, 8)
    assert source.train.inputs.dtype == np.uint8
    assert source.val is None
    assert source.test is None
    assert np.array_equal(source.train.targets, load_digits().target)
    assert source.train.inputs.max() == 255
    assert np.abs(source.train.inputs[:, 0] / 255 * 16 - load_digits().images).max() < 0.04


@pytest.mark.parametrize("file", [digits.FILE, Path("elsewhere.csv.gz")])
def test_reads_what_scikit_learn_reads(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(digits, "FILE", file)
    pixels, target = digits.read_digits()
    assert np.array_equal(pixels, load_digits().images)
    assert np.array_equal(target, load_digits().target)


def test_ids_are_stable_and_unique(tmp_path: Path) -> None:
    ids = Digits().load(cache_in(tmp_path)).train.ids
    assert ids[:2] == ("digits-0000", "digits-0001")
    assert len(set(ids)) == 1797


def test_digest_is_deterministic(tmp_path: Path) -> None:
    first, second = (
        load(Digits().load(cache_in(tmp_path)), Data(name="digits", labels=100)) for _ in range(2)
    )
    assert [s.digest for s in first.splits] == [s.digest for s in second.splits]
    assert len(first.train.labeled) + len(first.val) == 100
