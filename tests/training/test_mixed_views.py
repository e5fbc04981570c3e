"""Training on mixed views: the labels are mixed like the images, and missing ones do not count."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from mtkd_cli.data import mixing
from mtkd_cli.data.dataset import Split
from mtkd_cli.data.views import views_of
from mtkd_cli.interfaces import AggregationBatch, InputSpec, LossOptions, Merged, Samples, Task, TaskData
from mtkd_cli.recipe.augment import Augment
from mtkd_cli.training.loop import Step
from mtkd_cli.training.objectives import Batches, FromLabels, FromTeachers
from mtkd_cli.training.training_data import TrainingData
from mtkd_tasks.classification import Classification
from mtkd_tasks.multilabel import MultiLabel
from mtkd_tasks.regression import Regression
from mtkd_tasks.segmentation import Segmentation

SEED, N, SIDE = 7, 12, 6
MIXUP, CUTMIX, BOTH = Augment(mixup=1.0), Augment(cutmix=1.0), Augment(mixup=1.0, cutmix=1.0)
CLASSES = np.array([0, -1, 2, -1, 1, -1, 0, 1, 2, -1, 2, 0])
RANDOM = np.random.default_rng(0)
ROWS = np.array([3, 0, 11, 7, 2, 5, 10])


def data(
    task: Task, targets: Any, augment: Augment = BOTH, rows: Any = None, kind: type = TrainingData
) -> Any:
    inputs = RANDOM.integers(0, 256, (N, 1, SIDE, SIDE), dtype=np.uint8)
    samples = Samples(tuple(f"s{i}" for i in range(N)), inputs, targets, {"source": np.arange(N)})
    rows = np.arange(N) if rows is None else rows
    return kind(task, Split("train", samples, "d"), rows, None, SEED, augment, torch.device("cpu"))


def classification(classes: Any = CLASSES) -> Classification:
    return Classification(TaskData(("a", "b", "c"), classes, InputSpec()), LossOptions())


def step(*indices: int, epoch: int = 1) -> Step:
    return Step(4, epoch, 0.25, np.array(indices))


def output(samples: int, *shape: int) -> Tensor:
    return torch.randn(samples, *shape, generator=torch.Generator().manual_seed(0))


def shares(made: TrainingData, number: int = 2) -> tuple[np.ndarray, np.ndarray]:
    """Return the share of each sample in each pixel, and each sample's partner."""
    sides = made.split.samples.inputs.shape[2:]
    ids = made.split.id_numbers[made.rows]
    share = mixing.own_share(ids, number, SEED, made.augment, sides).double().numpy()
    return share, mixing.partners(len(made), SEED, number)


def test_views_are_those_that_teachers_are_recorded_on() -> None:
    made = data(classification(), CLASSES)
    recorded = views_of(made.split, slice(None), 2, SEED, BOTH)
    assert torch.equal(made.views(step(*ROWS)), recorded[torch.from_numpy(ROWS)])
    plain = data(classification(), CLASSES, Augment())
    assert not torch.equal(made.views(step(*ROWS)), plain.views(step(*ROWS)))


@pytest.mark.parametrize("augment", [MIXUP, CUTMIX, BOTH])
def test_task_loss_by_hand(augment: Augment) -> None:
    """lambda loss(a) + (1 - lambda) loss(b), divided by the shares of the labels that exist."""
    made = data(classification(), CLASSES, augment)
    logits, indices = output(7, 3), ROWS
    share, partners = shares(made)
    total = count = 0.0
    for row, index in enumerate(indices):
        own = share[index].mean()
        for label, weight in ((CLASSES[index], own), (CLASSES[partners[index]], 1 - own)):
            if label >= 0:
                total += weight * -logits[row].log_softmax(0)[label].item()
                count += weight
    assert count > 1
    assert FromLabels(made)(logits, step(*indices)).task.item() == pytest.approx(total / count, rel=1e-5)


def test_all_labels_give_the_loss_of_soft_labels() -> None:
    classes = CLASSES.clip(0)
    made = data(classification(classes), classes)
    share, partners = shares(made)
    own = torch.from_numpy(share.mean(axis=(1, 2)))[:, None]
    one_hot = F.one_hot(torch.from_numpy(classes), 3).double()
    soft = own * one_hot + (1 - own) * one_hot[torch.from_numpy(partners.copy())]
    logits = output(N, 3)
    expected = F.cross_entropy(logits.double(), soft)
    assert FromLabels(made)(logits, step(*range(N))).task.item() == pytest.approx(expected.item(), rel=1e-5)


def test_a_trace_of_a_label_has_not_the_strength_of_a_label() -> None:
    classes = np.full(N, -1)
    classes[0] = 1
    made = data(classification(CLASSES), classes, MIXUP)
    share, _ = shares(made)
    logits = output(1, 3)
    loss = FromLabels(made)(logits, step(0)).task.item()
    assert loss == pytest.approx(share[0].mean() * -logits[0].log_softmax(0)[1].item(), rel=1e-5)


def test_unlabeled_pairs_have_no_task_loss() -> None:
    made = data(classification(CLASSES), np.full(N, -1))
    logits = output(N, 3).requires_grad_()
    loss = FromLabels(made)(logits, step(*range(N))).task
    loss.backward()
    assert loss.item() == 0
    assert logits.grad is not None
    assert logits.grad.abs().sum() == 0


def test_partners_are_samples_that_are_trained_on() -> None:
    rows = np.flatnonzero(CLASSES >= 0)
    made = data(classification(), CLASSES, BOTH, rows)
    partners = made.partners(step(*range(len(rows))))
    assert partners is not None
    assert sorted(partners) == list(range(len(rows)))
    labels = made.labels(step(*range(len(rows))))
    assert all((target >= 0).all() for target, _ in labels.parts)


def test_view_0_has_plain_labels() -> None:
    made = replace(data(classification(), CLASSES), view_count=2)
    labels = made.labels(step(*ROWS, epoch=4))
    assert labels.parts == ()
    assert labels.target.tolist() == CLASSES[ROWS].tolist()


def test_masks_are_cut_like_images() -> None:
    masks = RANDOM.integers(-1, 3, (N, SIDE, SIDE)).astype(np.int16)
    task = Segmentation(TaskData(("a", "b", "c"), masks, InputSpec(size=SIDE, channels=1)), LossOptions())
    made = data(task, masks, CUTMIX)
    share, partners = shares(made)
    cut = torch.from_numpy(np.where(share == 1, masks, masks[partners]))
    labels = made.labels(step(*range(N)))
    assert torch.equal(labels.target, cut)
    logits = output(N, 3, SIDE, SIDE)
    expected = F.cross_entropy(logits, cut.long(), ignore_index=-1)
    assert FromLabels(made)(logits, step(*range(N))).task.item() == pytest.approx(expected.item(), rel=1e-5)


def test_mixup_of_masks_by_hand() -> None:
    masks = RANDOM.integers(-1, 3, (N, SIDE, SIDE)).astype(np.int16)
    task = Segmentation(TaskData(("a", "b", "c"), masks, InputSpec(size=SIDE, channels=1)), LossOptions())
    made = data(task, masks, MIXUP)
    share, partners = shares(made)
    logits = output(N, 3, SIDE, SIDE)
    own, other = (
        F.cross_entropy(logits, torch.from_numpy(m).long(), ignore_index=-1, reduction="none").numpy()
        for m in (masks, masks[partners])
    )
    total = (share * own + (1 - share) * other).sum()
    count = (share * (masks >= 0) + (1 - share) * (masks[partners] >= 0)).sum()
    assert FromLabels(made)(logits, step(*range(N))).task.item() == pytest.approx(total / count, rel=1e-5)


def test_values_are_mixed_and_a_missing_one_leaves_the_other_its_share() -> None:
    values = RANDOM.normal(size=(N, 1)) * 7 + 100
    values[[2, 3, 8, 9]] = np.nan
    task = Regression(TaskData(("y",), values, InputSpec()), LossOptions(), objective="huber")
    made = data(task, values, MIXUP)
    share, partners = shares(made)
    given = output(N, 1).double() * 7 + 100
    total = count = 0.0
    for row in range(N):
        own, first, second = share[row].mean(), values[row, 0], values[partners[row], 0]
        mixed = own * first + (1 - own) * second
        value, weight = (mixed, 1.0) if np.isfinite(mixed) else (np.nan_to_num(first, nan=second), 1 - own)
        weight = own if not np.isfinite(mixed) and np.isfinite(first) else weight
        if np.isfinite(value):
            off = torch.tensor((given[row, 0].item() - value) / task.deviation[0])
            total += weight * F.huber_loss(off, torch.zeros_like(off)).item()
            count += weight
    labels = made.labels(step(*range(N)))
    assert torch.equal(
        labels.target.isfinite()[:, 0], torch.from_numpy(np.isfinite(values + values[partners])[:, 0])
    )
    assert FromLabels(made)(given, step(*range(N))).task.item() == pytest.approx(total / count, rel=1e-5)


def test_multilabel_losses_are_mixed() -> None:
    present = RANDOM.integers(0, 2, (N, 3)).astype(np.float32)
    task = MultiLabel(TaskData(("a", "b", "c"), present, InputSpec()), LossOptions())
    made = data(task, present)
    share, partners = shares(made)
    own = share.mean(axis=(1, 2))[:, None]
    logits = output(N, 3)
    soft = torch.from_numpy(own * present + (1 - own) * present[partners])
    expected = F.binary_cross_entropy_with_logits(logits.double(), soft)
    assert FromLabels(made)(logits, step(*range(N))).task.item() == pytest.approx(expected.item(), rel=1e-5)


class WithTeachers(TrainingData):
    """Samples with the outputs of two teachers on mixed views."""

    def teacher_outputs(self, step: Step) -> tuple[Tensor, ...]:
        drawn = torch.randn(2, N, 3, generator=torch.Generator().manual_seed(1))
        return tuple(drawn[:, step.indices])


class Kept:
    """A strategy with equal weights that keeps what it received."""

    received: AggregationBatch

    per_sample, weighs = False, True

    def merge(self, batch: AggregationBatch) -> Merged:
        self.received = batch
        return Merged(batch.outputs, torch.full((2, len(batch.sample_ids)), 0.5))


def learn(known: Tensor | None = None) -> tuple[TrainingData, AggregationBatch, Any, Tensor]:
    made, strategy = data(classification(), CLASSES, BOTH, kind=WithTeachers), Kept()
    batches = Batches(made.task, made.split, ("x", "y"), (None, None), 1.0, 0, known)
    logits = output(N, 3)
    losses = FromTeachers(made, strategy, batches, 1.0, 0.5)(logits, step(*range(N)))
    return made, strategy.received, losses, logits


def test_kd_loss_is_that_to_the_outputs_on_the_mixed_image() -> None:
    made, _, losses, logits = learn()
    target = torch.stack(made.teacher_outputs(step(*range(N)))).softmax(dim=2).mean(dim=0)
    expected = F.kl_div(logits.log_softmax(1), target, reduction="batchmean")
    assert losses.kd.item() == pytest.approx(expected.item(), rel=1e-5)
    assert losses.task.item() == pytest.approx(FromLabels(made)(logits, step(*range(N))).task.item())


def test_strategies_see_a_label_only_where_both_are_equal() -> None:
    _, received, _, _ = learn()
    partners = CLASSES[mixing.partners(N, SEED, 2)]
    expected = np.where(partners == CLASSES, CLASSES, -1)
    assert (expected >= 0).any()
    assert received.target is not None
    assert received.target.tolist() == expected.tolist()
    assert received.labeled is not None
    assert received.labeled.tolist() == (expected >= 0).tolist()
    assert (received.error[:, expected < 0] == 0).all()


def test_a_teacher_is_used_only_if_it_knows_both_classes() -> None:
    known = torch.tensor([[True, True, True], [True, False, True]])
    _, received, _, _ = learn(known)
    partners = CLASSES[mixing.partners(N, SEED, 2)]
    has_unknown = torch.from_numpy((CLASSES == 1) | (partners == 1))
    assert received.usage_mask[0].all()
    assert torch.equal(received.usage_mask[1], ~has_unknown)
    assert torch.equal(received.without("labels").usage_mask[1], ~has_unknown)
