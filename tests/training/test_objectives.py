"""Objectives: the loss on labels and the loss to the merged teachers."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from mtkd_cli.data.dataset import Split
from mtkd_cli.interfaces import AggregationBatch, InputSpec, LossOptions, Merged, Samples, TaskData
from mtkd_cli.losses import cross_entropy, kl_divergence
from mtkd_cli.recipe.schema import Augment
from mtkd_cli.training.loop import Losses, Step
from mtkd_cli.training.objectives import Batches, FromLabels, FromTeachers
from mtkd_cli.training.training_data import TrainingData
from mtkd_tasks.classification import Classification

TASK = Classification(TaskData(("a", "b", "c"), np.zeros(1, dtype=np.int64), InputSpec()), LossOptions())
TARGETS = torch.tensor([0, -1, 2, -1, 1, -1])
TEACHERS = tuple(torch.randn(6, 3, generator=torch.Generator().manual_seed(k)) for k in (1, 2))
OUTPUT = torch.randn(3, 3, generator=torch.Generator().manual_seed(0))


def step(*indices: int, number: int = 4) -> Step:
    return Step(number, 0, 0.25, np.array(indices), torch.zeros(len(indices)))


def split() -> Split:
    ids = tuple(f"s{i}" for i in range(6))
    samples = Samples(ids, np.zeros((6, 1, 2, 2), np.uint8), TARGETS.numpy(), {"source": np.arange(6) * 10})
    return Split("train", samples, "digest")


class Data(TrainingData):
    """Samples with the outputs of two teachers, which are kept if the epochs cycle through views."""

    @property
    def keeps_outputs(self) -> bool:
        return self.view_count is not None

    def teacher_outputs(self, step: Step) -> tuple[Tensor, ...]:
        return tuple(teacher[step.indices] for teacher in TEACHERS)


def data() -> Data:
    return Data(TASK, split(), np.arange(6), None, 0, Augment(), torch.device("cpu"))


def batches(*declared: float | None) -> Batches:
    return Batches(TASK, split(), ("a", "b"), declared or (None, None), 2.0, seed=0)


class EqualWeights:
    """Gives both teachers the same weight, and weight 0 at ``ignored``; stores the batch it received."""

    per_sample, weighs = False, True

    def __init__(self, *ignored: int) -> None:
        self.ignored = ignored
        self.received: AggregationBatch | None = None

    def merge(self, batch: AggregationBatch) -> Merged:
        self.received = batch
        weights = torch.full((2, len(batch.sample_ids)), 0.5)
        weights[:, list(self.ignored)] = 0
        return Merged(batch.outputs, weights)


def objective(strategy: Any, kd_ratio: float = 0.5) -> FromTeachers:
    return FromTeachers(data(), strategy, batches(), 2.0, kd_ratio)


def kd_of(*rows: int) -> Tensor:
    """Return the loss of OUTPUT to the mean of the teachers at ``rows``."""
    target = sum(torch.softmax(teacher / 2, 1) for teacher in TEACHERS) / 2
    return kl_divergence(OUTPUT, target[list(rows)], 2.0)


def test_label_loss_averages_labeled_samples() -> None:
    losses = FromLabels(data())(OUTPUT, step(0, 1, 2))
    expected = (cross_entropy(OUTPUT, torch.tensor([0, -1, 2])).sum() / 2).item()
    assert losses.task.item() == pytest.approx(expected)
    assert losses.kd is None


def test_mixes_both_losses() -> None:
    losses = objective(EqualWeights(), kd_ratio=0.75)(OUTPUT, step(0, 1, 2))
    assert losses.kd is not None
    assert losses.kd.item() == pytest.approx(kd_of(0, 1, 2).mean().item())
    assert losses.task.item() == pytest.approx(FromLabels(data())(OUTPUT, step(0, 1, 2)).task.item())
    assert losses.total.item() == pytest.approx(0.25 * losses.task.item() + 0.75 * losses.kd.item())


def test_unlabeled_batch_learns_from_teachers_only() -> None:
    output = OUTPUT.clone().requires_grad_()
    losses: Losses = objective(EqualWeights())(output, step(1, 3, 5))
    losses.total.backward()
    assert losses.task.item() == 0
    assert losses.kd is not None
    assert losses.kd.item() == pytest.approx(kd_of(1, 3, 5).mean().item())
    assert output.grad is not None
    assert torch.isfinite(output.grad).all()
    assert output.grad.abs().sum() > 0


def test_no_labels_and_no_teachers_give_zero_loss() -> None:
    output = OUTPUT.clone().requires_grad_()
    losses = FromLabels(data())(output, step(1, 3, 5))
    losses.total.backward()
    assert losses.total.item() == 0
    assert output.grad is not None
    assert output.grad.abs().sum() == 0


def test_samples_with_zero_weights_do_not_count() -> None:
    losses = objective(EqualWeights(1))(OUTPUT, step(0, 1, 2))
    assert losses.kd is not None
    assert losses.kd.item() == pytest.approx(kd_of(0, 1, 2)[[0, 2]].mean().item())
    all_ignored = objective(EqualWeights(0, 1, 2))(OUTPUT, step(0, 1, 2))
    assert all_ignored.kd is not None
    assert all_ignored.kd.item() == 0


def test_combined_output_counts_for_every_sample() -> None:
    combined = SimpleNamespace(
        merge=lambda b: Merged(b.outputs, combined=b.outputs[0]), per_sample=False, weighs=False
    )
    losses = objective(combined)(OUTPUT, step(0, 1, 2))
    assert losses.kd is not None
    expected = kl_divergence(OUTPUT, torch.softmax(TEACHERS[0][:3] / 2, 1), 2.0).mean()
    assert losses.kd.item() == pytest.approx(expected.item())


def test_strategy_receives_samples_of_step_without_gradient() -> None:
    strategy = EqualWeights()
    output = OUTPUT.clone().requires_grad_()
    objective(strategy)(output, step(4, 1, 2))
    received = strategy.received
    assert received is not None
    assert received.sample_ids == ("s4", "s1", "s2")
    assert received.teacher_names == ("a", "b")
    assert received.metadata["source"].tolist() == [40, 10, 20]
    assert received.target is not None
    assert received.target.tolist() == [1, -1, 2]
    assert received.labeled is not None
    assert received.labeled.tolist() == [True, False, True]
    assert torch.equal(received.outputs[1], TEACHERS[1][[4, 1, 2]])
    assert (received.progress, received.temperature) == (0.25, 2.0)
    assert received.student_output is not None
    assert not received.student_output.requires_grad


class ByFirstLogit:
    """Weighs both teachers by their first logits, or returns their mean; counts the samples it merged."""

    def __init__(self, weighs: bool, per_sample: bool = True) -> None:
        self.weighs, self.per_sample, self.merged = weighs, per_sample, 0

    def merge(self, batch: AggregationBatch) -> Merged:
        self.merged += len(batch.sample_ids)
        if not self.weighs:
            return Merged(batch.outputs, combined=torch.stack(batch.outputs).mean(dim=0))
        weights = torch.softmax(torch.stack([output[:, 0] for output in batch.outputs]), dim=0)
        return Merged(batch.outputs, weights)


@pytest.mark.parametrize("weighs", [True, False])
def test_sample_is_merged_once_a_view_if_only_it_counts(weighs: bool) -> None:
    """With the losses of a strategy that is called in each step, and apart from other strategies."""
    recorded = Data(TASK, split(), np.arange(6), 2, 0, Augment(), torch.device("cpu"))
    once, each_step = ByFirstLogit(weighs), ByFirstLogit(weighs, per_sample=False)
    objectives = [FromTeachers(recorded, strategy, batches(), 2.0, 0.5) for strategy in (once, each_step)]
    epochs = (0, (0, 3, 5)), (0, (4, 1, 2)), (1, (2, 1, 0)), (1, (5, 4, 3)), (2, (3, 4, 5))
    steps = [replace(step(*indices), epoch=epoch) for epoch, indices in epochs]
    for each in steps:
        first, second = (objective(OUTPUT, each) for objective in objectives)
        assert first.kd is not None
        assert second.kd is not None
        torch.testing.assert_close(first.kd, second.kd, rtol=0, atol=0)
        assert first.shares() == second.shares()
    assert (once.merged, each_step.merged) == (12, 15)
    other = FromTeachers(recorded, EqualWeights(), batches(), 2.0, 0.5)(OUTPUT, step(0, 1, 2))
    assert other.kd is not None
    assert other.kd.item() == pytest.approx(kd_of(0, 1, 2).mean().item())


@pytest.mark.parametrize(
    ("views", "augment", "gaps"),
    [(None, Augment(), False), (2, Augment(mixup=1.0), False), (2, Augment(), True)],
    ids=["large outputs", "mixed views", "gaps"],
)
def test_strategy_is_called_in_each_step_otherwise(views: int | None, augment: Augment, gaps: bool) -> None:
    strategy, changed = ByFirstLogit(weighs=True), replace(batches(), gaps=gaps)
    recorded = Data(TASK, split(), np.arange(6), views, 0, augment, torch.device("cpu"))
    objective = FromTeachers(recorded, strategy, changed, 2.0, 0.5)
    for _ in range(5):
        objective(OUTPUT, replace(step(0, 3, 5), epoch=1))
    assert strategy.merged == 15


def test_batch_without_target_is_unlabeled() -> None:
    given = batches()(TEACHERS, np.arange(6), None)
    assert given.labeled is not None
    assert not given.labeled.any()


@pytest.mark.parametrize(
    ("declared", "expected"), [((None, None), None), ((2.0, None), [2, 1]), ((0.0, 3.0), [0, 3])]
)
def test_undeclared_weight_is_1(declared: tuple[float | None, ...], expected: list[float] | None) -> None:
    found = batches(*declared)(TEACHERS, np.arange(6), None).declared_weights
    assert (None if found is None else found.tolist()) == expected


def test_random_numbers_depend_on_step_and_name_only() -> None:
    def draw(number: int, name: str) -> Tensor:
        return batches()(TEACHERS, np.arange(6), None, step=step(0, number=number)).random(name, (4,))

    assert torch.equal(draw(1, "drop"), draw(1, "drop"))
    assert not torch.equal(draw(1, "drop"), draw(2, "drop"))
    assert not torch.equal(draw(1, "drop"), draw(1, "keep"))


def test_shares_are_mean_weights() -> None:
    weights = torch.tensor([[0.9, 0.5, 0.0], [0.1, 0.5, 0.0]])
    losses = Losses(torch.tensor(1.0), torch.tensor(1.0), 0.5, weights, ("a", "b"))
    assert losses.shares() == {"weight/a": pytest.approx(0.7), "weight/b": pytest.approx(0.3)}
    assert Losses(torch.tensor(1.0)).shares() == {}
