"""Strategies that use the other teachers, the student or the progress, against their closed forms."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from scipy.spatial.distance import jensenshannon
from torch import Tensor

from mtkd_cli import counter_rng
from mtkd_cli.interfaces import AggregationBatch, InputSpec, LossOptions, TaskData
from mtkd_tasks.classification import Classification
from mtkd_tasks.segmentation import Segmentation
from tests.fixtures.strategies import create

CLASSES = 4


def logits(samples: int, seed: int, right: list[int] | None = None, scale: float = 1.0) -> Tensor:
    values = torch.randn(samples, CLASSES, generator=torch.Generator().manual_seed(seed))
    if right is not None:
        values[torch.arange(samples), torch.tensor(right)] += 4
    return values * scale


def batch(
    outputs: list[Tensor], target: list[int] | None = None, step: int = 0, **more: Any
) -> AggregationBatch:
    labels = torch.tensor(target) if target is not None else None
    return AggregationBatch(
        outputs=tuple(outputs),
        teacher_names=tuple("abcdefgh"[: len(outputs)]),
        sample_ids=tuple(map(str, range(len(outputs[0])))),
        temperature=2.0,
        progress=more.pop("progress", 0.5),
        task=Classification(
            TaskData(tuple(map(str, range(CLASSES))), np.zeros(1, dtype=np.int64), InputSpec()), LossOptions()
        ),
        target=labels,
        labeled=None if labels is None else labels >= 0,
        draw=lambda name, shape: counter_rng.torch_uniform(shape, "test", step, name),
        **more,
    )


TRUTH = [0, 1, 2, 3, 0, 1, 2, 3]
WRONG = [1, 2, 3, 0, 1, 2, 3, 0]


def test_consensus_distrusts_confidently_wrong_teacher() -> None:
    outputs = [logits(8, seed, TRUTH) for seed in range(3)] + [logits(8, 9, WRONG, scale=10)]
    assert create("consensus").weights(batch(outputs))[3].max() < 0.01
    assert create("entropy").weights(batch(outputs))[3].min() > 0.3


def test_consensus_equal_weights_for_equal_teachers() -> None:
    same = logits(5, 0)
    torch.testing.assert_close(create("consensus").weights(batch([same] * 4)), torch.full((4, 5), 0.25))


def test_consensus_uses_median_jensen_shannon_divergence() -> None:
    outputs = [logits(6, seed, scale=3) for seed in range(4)]
    p = torch.stack(outputs).double().softmax(2).numpy()
    pairs = [[jensenshannon(p[k], p[j], axis=1) ** 2 for j in range(4) if j != k] for k in range(4)]
    expected = torch.softmax(-torch.from_numpy(np.median(pairs, axis=1)) / 0.2, 0)
    torch.testing.assert_close(create("consensus", tau=0.2).weights(batch(outputs)), expected.float())


def test_consensus_does_not_reward_uncertainty() -> None:
    """Two teachers have the same distance to each other, whatever their confidence."""
    weights = create("consensus").weights(batch([logits(5, 0, scale=9), torch.zeros(5, CLASSES)]))
    torch.testing.assert_close(weights, torch.full((2, 5), 0.5))


def test_consensus_by_sample_or_by_element() -> None:
    data = TaskData(tuple(map(str, range(CLASSES))), np.zeros((1, 2, 2), dtype=np.int64), InputSpec())
    task = Segmentation(data, LossOptions())
    right = 9 * torch.eye(CLASSES)[0].view(1, CLASSES, 1, 1).expand(2, -1, 2, 2)
    odd = right.clone()
    odd[1, :, 0, 0] = 9 * torch.eye(CLASSES)[1]
    maps = replace(batch([logits(2, 0)] * 3), outputs=(right, right, odd), task=task)
    whole = create("consensus").weights(maps)
    each = create("consensus", by="element").weights(maps)
    assert whole.shape == (3, 2)
    torch.testing.assert_close(whole[:, 0], torch.full((3,), 1 / 3))
    assert whole[2, 1] < whole[0, 1]
    assert each.shape == (3, 2, 2, 2)
    assert each[2, 1, 0, 0] < 0.02
    torch.testing.assert_close(each[:, 1, 1, 1], torch.full((3,), 1 / 3))


def test_best_selects_highest_score() -> None:
    outputs = [logits(8, 0, WRONG), logits(8, 1, TRUTH), logits(8, 2)]
    best = create("best")
    best.fit(batch(outputs, TRUTH))
    assert best.weights(batch(outputs))[:, 0].tolist() == [0, 1, 0]


def test_random_draws_one_teacher_per_batch_uniformly() -> None:
    outputs = [logits(3, seed) for seed in range(4)]
    drawn = [create("random").weights(batch(outputs, step=step)) for step in range(400)]
    assert all((w.sum(0) == 1).all() and (w[:, :1] == w).all() for w in drawn)
    counts = torch.stack(drawn)[:, :, 0].sum(0)
    assert counts.min() > 70
    assert torch.equal(drawn[7], create("random").weights(batch(outputs, step=7)))


def test_drop_keeps_teacher_with_largest_loss() -> None:
    outputs = [logits(200, seed, scale=3) for seed in range(3)]
    student = logits(200, 9)
    given = batch(outputs, student_output=student)
    weights = create("drop").weights(given)
    soft = [torch.softmax(out / 2, 1) for out in outputs]
    farthest = torch.stack([(p * (p.log() - torch.log_softmax(student / 2, 1))).sum(1) for p in soft]).argmax(
        0
    )
    assert (weights[farthest, torch.arange(200)] > 0).all()
    torch.testing.assert_close(weights.sum(0), torch.ones(200))
    others = torch.ones_like(weights, dtype=torch.bool)
    others[farthest, torch.arange(200)] = False
    assert 0.4 < (weights[others] == 0).float().mean() < 0.6


def test_progressive_moves_from_weakest_to_strongest() -> None:
    outputs = [logits(8, 1, TRUTH), logits(8, 2, WRONG), logits(8, 3, TRUTH[:4] + WRONG[4:])]
    progressive = create("progressive")
    progressive.fit(batch(outputs, TRUTH))
    over_time = [
        progressive.weights(batch(outputs, progress=x))[:, 0].tolist() for x in (0.0, 0.25, 0.5, 1.0)
    ]
    assert over_time == [[0, 1, 0], [0, 0.5, 0.5], [0, 0, 1], [1, 0, 0]]


def combined_probabilities(name: str, probabilities: list[list[float]], **options: Any) -> list[float]:
    outputs = [torch.tensor([p]).log() for p in probabilities]
    return torch.softmax(create(name, **options).combine(batch(outputs)), dim=1)[0].tolist()


def test_median_trimmed_mean_and_majority() -> None:
    given = [[0.6, 0.2, 0.1, 0.1], [0.5, 0.3, 0.1, 0.1], [0.01, 0.01, 0.01, 0.97]]
    middle = pytest.approx([x / 0.9 for x in (0.5, 0.2, 0.1, 0.1)], rel=1e-5)
    assert combined_probabilities("median", given) == middle
    assert combined_probabilities("trimmed-mean", given, trim=0.34) == middle
    assert combined_probabilities("trimmed-mean", given, trim=0.0) == pytest.approx(
        [sum(c) / 3 for c in zip(*given, strict=True)], rel=1e-5
    )
    outputs = [torch.tensor([p]).log() for p in given]
    assert create("majority").weights(batch(outputs))[:, 0].tolist() == [0.5, 0.5, 0]
    assert create("majority").weights(batch(outputs[1:]))[:, 0].tolist() == [0.5, 0.5]


def test_median_is_uniform_if_all_disagree() -> None:
    certain = [[1.0, 0, 0, 0], [0, 1.0, 0, 0], [0, 0, 1.0, 0]]
    assert combined_probabilities("median", certain) == pytest.approx([0.25] * 4)
