"""Whole views in memory give the rows of each batch to the bit, and only as far as they are small."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from mtkd_cli.data.dataset import Split
from mtkd_cli.interfaces import InputSpec, LossOptions, Samples, TaskData
from mtkd_cli.recipe.augment import Augment
from mtkd_cli.training import view_cache
from mtkd_cli.training.loop import Step
from mtkd_cli.training.training_data import TrainingData
from mtkd_cli.training.view_cache import ViewCache
from mtkd_tasks.segmentation import Segmentation

N = 70
AUGMENTS = (
    Augment(),
    Augment(shift=0.2, rotate=20, zoom=0.3, flip=True),
    Augment(shift=0.1, brightness=0.3, contrast=0.3, saturation=0.3, hue=0.1, grayscale=0.3),
    Augment(resized_crop=0.3, erase=0.5),
    Augment(randaugment={"operations": 2}, shift=0.1),
    Augment(mixup=0.5, cutmix=1.0, rotate=10),
)


def data(augment: Augment, channels: int = 3) -> TrainingData:
    chance = np.random.default_rng(0)
    inputs = chance.integers(0, 256, (N, channels, 9, 7), dtype=np.uint8)
    targets = chance.integers(0, 3, (N, 9, 7))
    task = Segmentation(
        TaskData(("a", "b", "c"), targets, InputSpec((9, 7), channels=channels)), LossOptions()
    )
    split = Split("train", Samples(tuple(f"s{i}" for i in range(N)), inputs, targets, {}), "d")
    rows = chance.permutation(N)[:61]
    return TrainingData(task, split, rows, None, 3, augment, torch.device("cpu"))


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("augment", AUGMENTS)
def test_kept_views_and_labels_are_those_of_the_batch(
    augment: Augment, channels: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(view_cache, "BLOCK", 17)
    made = data(augment, channels)
    assert len(made) == 61
    for epoch in (0, 3, 0):
        shuffled = np.random.default_rng(epoch).permutation(len(made))
        for indices in np.array_split(shuffled, 5):
            step = Step(0, epoch, 0.0, indices)
            (given,) = made.with_views([step])
            direct = replace(made).views(step)  # a copy has a cache of its own
            assert torch.equal(given.views, direct)
            assert given.views.stride() == direct.stride()
            kept, labels = made.labels(step), replace(made, rows=made.rows.copy()).labels(step)
            assert torch.equal(kept.target, labels.target)


def test_a_copy_with_other_samples_has_its_own_views() -> None:
    made = data(Augment())
    step = Step(0, 0, 0.0, np.arange(5))
    (before,) = made.with_views([step])
    (after,) = replace(made, rows=made.rows[::-1].copy()).with_views([step])
    assert not torch.equal(before.views, after.views)
    assert torch.equal(TrainingData(**made.settings()).views(step), made.views(step))


Compute = Callable[[NDArray[np.int64]], Tensor]


@pytest.fixture
def computed() -> tuple[list[int], Compute]:
    """Numbers of rows of each computation, and a function that computes rows of 4 bytes."""
    counts: list[int] = []

    def compute(indices: NDArray[np.int64]) -> Tensor:
        counts.append(len(indices))
        return torch.from_numpy(indices).float()

    return counts, compute


def test_small_views_are_computed_once(computed: tuple[list[int], Compute]) -> None:
    counts, compute = computed
    cache, wanted = ViewCache(), np.array([3, 299, 3])
    for _ in range(2):
        assert cache.rows(("views", 1), wanted, 300, compute).tolist() == [3, 299, 3]
    assert counts == [256, 44]


def test_large_views_are_computed_for_each_batch(
    computed: tuple[list[int], Compute], monkeypatch: pytest.MonkeyPatch
) -> None:
    counts, compute = computed
    monkeypatch.setattr(view_cache, "MAX_VIEW", 4 * 299)
    cache = ViewCache()
    for number in range(3):
        assert cache.rows(("views", number), np.array([299]), 300, compute).tolist() == [299]
    assert counts == [256, 1, 1, 1]


def test_the_oldest_view_makes_room(computed: tuple[list[int], Compute], monkeypatch: Any) -> None:
    counts, compute = computed
    monkeypatch.setattr(view_cache, "MAX_BYTES", 2 * 4 * 100)
    cache = ViewCache()
    for number in (0, 1, 0, 2, 1, 2, 0):
        cache.rows(("views", number), np.array([1]), 100, compute)
    assert len(counts) == 4, "view 0 was made again after view 2 took its room"
