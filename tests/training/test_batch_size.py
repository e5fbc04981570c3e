"""The default batch size leaves enough steps per epoch, and enough samples for BatchNorm."""

from __future__ import annotations

import math

import pytest

from mtkd_cli.training.batch_size import automatic_batch_size, too_few_steps


@pytest.mark.parametrize(
    ("samples", "size"), [(2, 8), (80, 8), (320, 16), (641, 32), (1279, 32), (1280, 64), (60_000, 64)]
)
def test_default_leaves_twenty_steps_of_8_to_64_samples(samples: int, size: int) -> None:
    assert automatic_batch_size(samples) == size
    assert size == 8 or math.ceil(samples / size) >= 20


def test_warns_if_batch_size_leaves_few_steps() -> None:
    found = too_few_steps("train.batch_size", 256, 600)
    assert found.startswith("train.batch_size 256 leaves 3 steps an epoch of 600 samples; 16 (auto)")
    assert not too_few_steps("train.batch_size", 64, 600)
    assert not too_few_steps("train.batch_size", 8, 20)  # BatchNorm needs at least 8
