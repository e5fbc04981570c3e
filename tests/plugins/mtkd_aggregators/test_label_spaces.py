"""Strategies with teachers that know only some classes: a label is taught by teachers that know it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from mtkd_cli import counter_rng
from mtkd_cli.interfaces import AggregationBatch, InputSpec, LossOptions, TaskData
from mtkd_cli.interfaces.label_space import UNKNOWN
from mtkd_cli.plugin.registry import Registry, load_registry
from mtkd_cli.recipe.resolve import Part
from mtkd_cli.training.strategy import Strategy, mask_weights
from mtkd_tasks.classification import Classification

CLASSES, SAMPLES, NAMES = 6, 12, ("a", "b", "c")
OPTIONS: dict[str, dict[str, Any]] = {"route": {"by": "source", "map": {"photo": "a", "sketch": "b"}}}
TASK = Classification(TaskData(tuple("uvwxyz"), np.arange(CLASSES), InputSpec()), LossOptions())
WEIGHTINGS = sorted(
    entry.spec.name
    for entry in load_registry().listing("strategies")
    if entry.plugin.builtin and entry.spec.name not in ("mean-logit", "median", "trimmed-mean")
)


def strategy(registry: Registry, name: str) -> Strategy:
    found = registry.find("strategies", name)
    options = {option.name: option.default for option in found.spec.options} | OPTIONS.get(name, {})
    return Strategy(Part(found.spec, found.plugin, options, found.spec.load))


def batch(seed: int, known: Tensor, size: float, progress: float = 0.5) -> AggregationBatch:
    """Return a batch of teachers that know ``known [K, C]``; every third sample is unlabeled."""
    drawn = (
        torch.randn(len(known) + 1, SAMPLES, CLASSES, generator=torch.Generator().manual_seed(seed)) * size
    )
    target = torch.where(torch.arange(SAMPLES) % 3 == 2, -1, torch.arange(SAMPLES) % CLASSES)
    return AggregationBatch(
        outputs=tuple(o.masked_fill(~row, UNKNOWN) for o, row in zip(drawn[:-1], known, strict=True)),
        teacher_names=NAMES,
        sample_ids=tuple(map(str, range(SAMPLES))),
        temperature=2.0,
        progress=progress,
        task=TASK,
        known=known,
        target=target,
        labeled=target >= 0,
        student_output=drawn[-1],
        metadata={"source": np.array(["photo", "sketch", "film"] * (SAMPLES // 3))},
        draw=lambda name, shape: counter_rng.torch_uniform(shape, seed, name),
    )


@pytest.mark.parametrize("name", WEIGHTINGS)
def test_only_teachers_that_know_the_label_have_weight(registry: Registry, name: str) -> None:
    slow = name == "stacking"  # fitted again for each example

    @settings(max_examples=3 if slow else 25, deadline=None)
    @given(
        st.integers(0, 10_000),
        st.lists(st.lists(st.booleans(), min_size=CLASSES, max_size=CLASSES), min_size=3, max_size=3),
        st.sampled_from([0.1, 3.0] if slow else [0.1, 3.0, 50.0]),
        st.floats(0, 1),
    )
    def holds(seed: int, rows: list[list[bool]], size: float, progress: float) -> None:
        known = torch.tensor(rows)
        known[:, 0] = True
        asked = batch(seed, known, size, progress)
        used = strategy(registry, name)
        every = torch.arange(SAMPLES) % CLASSES
        used.fit(replace(asked, target=every, labeled=every >= 0, student_output=None))
        weights = used.merge(asked).weights
        assert weights is not None
        target = asked.target
        assert target is not None
        knows = known[:, target.clamp(min=0)] | (target < 0)
        assert (weights[~knows] == 0).all()
        torch.testing.assert_close(weights.sum(0), knows.any(0).float())

    holds()


def test_next_best_teacher_replaces_ignored_one(registry: Registry) -> None:
    """Teacher c is the best but does not know class 0, b is better than a."""
    known = torch.ones(3, CLASSES, dtype=torch.bool)
    known[2, 0] = False
    labels = torch.arange(SAMPLES) % CLASSES
    answers = [4.0 * torch.nn.functional.one_hot(labels, CLASSES) for _ in NAMES]
    answers[0][2:9] *= -1
    answers[1][3:7] *= -1
    answers[2][:, 0] = UNKNOWN
    asked = replace(
        batch(0, known, 1.0, progress=1.0), outputs=tuple(answers), target=labels, labeled=labels >= 0
    )
    for name in ("best", "progressive"):
        used = strategy(registry, name)
        used.fit(asked)
        weights = used.merge(asked).weights
        assert weights is not None
        assert weights[:, labels > 0].tolist() == [[0] * 10, [0] * 10, [1] * 10]
        assert weights[:, labels == 0].tolist() == [[0, 0], [1, 1], [0, 0]]


def test_random_draws_among_teachers_that_know_the_label(registry: Registry) -> None:
    known = torch.ones(3, CLASSES, dtype=torch.bool)
    known[0, 1] = False
    counts = torch.zeros(3)
    for number in np.linspace(0, 0.999, 60):
        asked = replace(batch(0, known, 1.0), draw=lambda _, shape, n=number: torch.full(shape, n))
        weights = strategy(registry, "random").merge(asked).weights
        assert weights is not None
        counts += weights[:, 1]
    assert counts.tolist() == [0, 30, 30]


def test_weight_of_ignored_teachers_is_redistributed() -> None:
    weights = torch.tensor([[1.0, 1.0, 1.0, 0.0], [0.0, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0]])
    usage_mask = torch.tensor(
        [[True, False, False, True], [True, True, False, True], [True, True, False, True]]
    )
    expected = [[1.0, 0.0, 0.0, 0.0], [0.0, 0.5, 0.0, 0.0], [0.0, 0.5, 0.0, 0.0]]
    assert mask_weights(weights, usage_mask).tolist() == expected, "a sample with all weights 0 keeps them"
    declared = torch.tensor([1.0, 1.0, 0.0])
    assert mask_weights(weights, usage_mask, declared)[:, 1].tolist() == [0.0, 1.0, 0.0]


def test_heard_mask_is_available_without_labels() -> None:
    known = torch.ones(3, CLASSES, dtype=torch.bool)
    known[0, 1] = False
    whole = batch(0, known, 1.0)
    withheld = whole.without("labels", "student")
    assert withheld.target is None and withheld.labeled is None
    assert torch.equal(withheld.usage_mask, whole.usage_mask)
    assert not withheld.usage_mask[0, 1]


@pytest.mark.parametrize("shared", [0, 1])
def test_consensus_skips_pairs_with_too_few_shared_classes(registry: Registry, shared: int) -> None:
    """Over a single class, or none, two distributions are always equal: that does not show agreement."""
    known = torch.zeros(3, CLASSES, dtype=torch.bool)
    known[0, :3] = known[1, :3] = True
    known[2, 3 - shared :] = True
    asked = replace(batch(1, known, 3.0), target=None, labeled=None)
    weights = strategy(registry, "consensus").merge(asked).weights
    torch.testing.assert_close(weights, torch.full((3, SAMPLES), 1 / 3))


def test_consensus_median_over_comparable_pairs(registry: Registry) -> None:
    """Teacher c shares no class with a, so only its distance to b counts."""
    known = torch.zeros(3, CLASSES, dtype=torch.bool)
    known[0, :3] = known[1, :] = known[2, 3:] = True
    asked = replace(batch(1, known, 3.0), target=None, labeled=None)
    weights = strategy(registry, "consensus").merge(asked).weights
    assert weights is not None

    def divergence(k: int, j: int) -> Tensor:
        both = known[k] & known[j]
        p, q = (asked.outputs[i][:, both].double().softmax(1) for i in (k, j))
        m = (p + q) / 2
        return ((p * (p / m).log()).sum(1) + (q * (q / m).log()).sum(1)) / 2

    first, second = divergence(0, 1), divergence(1, 2)
    expected = torch.softmax(-torch.stack([first, (first + second) / 2, second]) / 0.1, dim=0).float()
    torch.testing.assert_close(weights, expected, atol=1e-4, rtol=1e-3)
