"""Tables: rows as the data has them, numbers as each model wants them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from mtkd_cli.data import dataset
from mtkd_cli.errors import UsageError
from mtkd_cli.interfaces import Column, InputSpec, Samples, SourceData
from mtkd_cli.models.preprocess import complete_input, prepare
from mtkd_cli.recipe.schema import Data, Input

NAN = np.nan
COLUMNS = (Column("age"), Column("town", ("Bern", "Chur", "Genf")), Column("size"))
ROWS = np.array([[10, 0, 5], [30, 2, 5], [NAN, NAN, 5], [20, 1, NAN]], dtype=np.float32)


def spec(**more: Any) -> InputSpec:
    targets = np.arange(4, dtype=np.float32)[:, None]
    train = Samples(tuple("abcd"), ROWS, targets)
    others = [Samples((name,), ROWS[:1], targets[:1]) for name in ("v", "t")]
    source = SourceData(("y",), train, *others, columns=COLUMNS)
    return complete_input(InputSpec(**more), Input(), dataset.load(source, Data(name="x")).input)


def test_standardizes_numbers_and_one_hot_encodes_categories() -> None:
    found = prepare(torch.from_numpy(ROWS), spec())
    unit = 1 / np.std([10, 30, 20])
    expected = [
        [-10 * unit, 1, 0, 0, 0],
        [10 * unit, 0, 0, 1, 0],
        [0, 0, 0, 0, 0],
        [0, 0, 1, 0, 0],
    ]
    torch.testing.assert_close(found, torch.tensor(expected, dtype=torch.float32), atol=1e-5, rtol=0)


def test_builds_model_for_encoded_columns() -> None:
    assert (spec().channels, spec().size) == (5, 1)
    assert (spec(channels=99).channels, spec().columns) == (5, COLUMNS)


def test_raw_model_gets_unchanged_rows() -> None:
    found = prepare(torch.from_numpy(ROWS), spec(raw=True))
    np.testing.assert_array_equal(found.numpy(), ROWS)


def test_model_statistics_are_per_column() -> None:
    found = prepare(torch.from_numpy(ROWS), spec(mean=(20.0, 0.0, 4.0), std=(10.0, 1.0, 2.0)))
    assert found[0].tolist() == [-1.0, 1.0, 0.0, 0.0, 0.5]
    with pytest.raises(UsageError, match="1 values for 3 columns"):
        spec(mean=(0.5,))
