"""Errors of published multi-teacher code: each formula is caught, and mtkd's own is right.

Two more are in `test_testing.py`: strategies of unequal strength (CA-MKD divides by K again), and NaN from
confident teachers or from one alone (EBKD, CA-MKD). That a stored answer is never flipped is in
`tests/teachers/test_recording.py`.
"""

from __future__ import annotations

import sys
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from mtkd_aggregators.drop import Drop
from mtkd_cli.interfaces import AggregationBatch, InputSpec, LossOptions, Merged, TaskData
from mtkd_cli.specs import AggregatorSpec, TaskSpec
from mtkd_cli.store.row_format import Layout
from mtkd_cli.testing import BrokenRuleError, check, check_strategy
from mtkd_cli.testing.batches import batch_for
from mtkd_tasks.classification import Classification


def check_task_of(implementation: type) -> None:
    sys.modules["faulty_tasks"] = module = ModuleType("faulty_tasks")
    module.Mine = implementation  # type: ignore[attr-defined]
    check(TaskSpec("mine", "One line.", "faulty_tasks:Mine"))


def test_reports_loss_without_gradient() -> None:
    """The hint baseline of AE-KD and CA-MKD builds its loss from floats: nothing is learnt."""

    class Rebuilt(Classification):
        def kd_loss(self, student_output: Tensor, merged: Merged, temperature: float) -> Tensor:
            return torch.tensor(super().kd_loss(student_output, merged, temperature).tolist())

    with pytest.raises(BrokenRuleError, match=r"losses have a gradient.*kd_loss does not depend on it"):
        check_task_of(Rebuilt)


def test_reports_wrong_factor_of_combined_output() -> None:
    """torchdistill's KDLoss loses temperature squared on one of its paths."""

    class Lossy(Classification):
        def kd_loss(self, student_output: Tensor, merged: Merged, temperature: float) -> Tensor:
            loss = super().kd_loss(student_output, merged, temperature)
            return loss if merged.combined is None else loss / temperature**2

    with pytest.raises(BrokenRuleError, match=r"a combined output gives .* 0\.25 times that gradient"):
        check_task_of(Lossy)


def unic(batch: AggregationBatch) -> Tensor:
    """UNIC's reference code: dropped teachers are made up for over the batch, not for each sample."""
    losses = torch.stack([batch.task.kd_loss(batch.student_output, batch.alone(k), 1.0) for k in _all(batch)])
    drawn = torch.stack([batch.random(name, tuple(losses.shape[1:])) for name in batch.teacher_names])
    kept = ((drawn >= 0.5) | (losses == losses.max(0).values)).float()
    return kept / kept.sum() * losses[0].numel()


def _all(batch: AggregationBatch) -> range:
    return range(len(batch.outputs))


def test_reports_unequal_dropping() -> None:
    spec = AggregatorSpec("mine", "", "", needs=("student",))
    with pytest.raises(BrokenRuleError, match="weights sum to 1 for each sample"):
        check_strategy(lambda: SimpleNamespace(weights=unic), spec)


@given(p=st.floats(0, 1))
def test_drop_weighs_samples_equally(p: float) -> None:
    task = Classification(TaskData(tuple("abcde"), np.arange(5), InputSpec(4)), LossOptions())
    weights = Drop(p).weights(batch_for(task))
    torch.testing.assert_close(weights.sum(0), torch.ones(weights.shape[1]))


@pytest.mark.parametrize("classes", [200, 257, 32_769, 70_000])
def test_class_numbers_do_not_overflow(classes: int) -> None:
    """TinyViT keeps class numbers in 16 bits, which ends at 32,767."""
    largest = torch.tensor([classes - 1, classes - 3, 0])
    output = torch.zeros(3, classes).scatter(1, largest[:, None], 20.0)
    layout = Layout((classes,), "fp32", top_k=2)
    rows = layout.encode(output)
    assert layout.decode(rows).argmax(1).tolist() == largest.tolist()
    if classes > 2**15:
        assert (rows["index"].astype(np.int16) != rows["index"]).any(), "what 16 bits would make of them"
