"""Statistics are packed and unpacked by the names of their columns."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from mtkd_cli.interfaces import Columns, InputSpec, LossOptions, TaskData
from mtkd_tasks.classification import Classification

COLUMNS = Columns(("right", "nll"), {"label": 2})


def test_parts_are_found_by_name_whatever_order_they_are_given_in() -> None:
    label = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
    packed = COLUMNS.pack(label=label, nll=torch.tensor([0.5, 0.25]), right=torch.tensor([1, 0]))
    assert packed.tolist() == [[1, 0.5, 1, 2], [0, 0.25, 3, 4]]
    found = COLUMNS.unpack(packed)
    assert found["nll"].tolist() == [0.5, 0.25]
    assert torch.equal(found["label"], label)
    assert len(COLUMNS) == 4


def test_a_wrong_part_or_width_is_refused_with_the_names() -> None:
    with pytest.raises(ValueError, match="right, nll, label; given: right"):
        COLUMNS.pack(right=torch.zeros(2))
    with pytest.raises(ValueError, match=r"expected 4 columns \(right, nll, label\)"):
        COLUMNS.unpack(torch.zeros(2, 5))
    with pytest.raises(ValueError, match="expected 4 columns"):
        COLUMNS.pack(right=torch.zeros(2), nll=torch.zeros(2), label=torch.zeros(2, 3))


def test_metrics_do_not_depend_on_the_order_of_the_columns() -> None:
    class Turned(Classification):
        columns = Columns(("label", "answer", "confidence", "nll", "right"))

    output, target = torch.randn(50, 3, generator=torch.Generator().manual_seed(0)), torch.arange(50) % 3
    target[4] = -1
    data = TaskData(("a", "b", "c"), np.arange(3), InputSpec())
    plain, turned = Classification(data, LossOptions()), Turned(data, LossOptions())
    statistics = turned.statistics(output, target)
    assert not torch.equal(statistics, plain.statistics(output, target))
    assert turned.metrics(statistics) == plain.metrics(plain.statistics(output, target))
    assert turned.details(statistics) == plain.details(plain.statistics(output, target))
