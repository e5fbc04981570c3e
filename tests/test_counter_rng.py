"""Random numbers are functions of counters: uniform, independent, and the same on every call."""

import hashlib

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mtkd_cli import counter_rng

quick = settings(deadline=None, max_examples=40)
IDS = counter_rng.id_numbers(f"sample-{i}" for i in range(20_000))


def test_numbers_are_uniform() -> None:
    draws = counter_rng.uniform(IDS, 4, "view", 0, 1)
    assert draws.dtype == np.float32
    assert draws.min() >= 0
    assert draws.max() < 1
    for column in draws.T:
        counts = np.histogram(column, bins=20, range=(0, 1))[0]
        chi_squared = ((counts - 1000) ** 2 / 1000).sum()
        assert chi_squared < 43.8  # 19 degrees of freedom, p = 0.001


@pytest.mark.parametrize("other", [("view", 0, 2), ("view", 1, 1), ("order", 0, 1)])
def test_keys_are_independent(other: tuple[str | int, ...]) -> None:
    first, second = counter_rng.uniform(IDS, 1, "view", 0, 1), counter_rng.uniform(IDS, 1, *other)
    assert abs(np.corrcoef(first[:, 0], second[:, 0])[0, 1]) < 0.03


def test_draws_of_one_sample_are_independent() -> None:
    correlations = np.corrcoef(counter_rng.uniform(IDS, 10, "view", 0, 1).T) - np.eye(10)
    assert np.abs(correlations).max() < 0.03


def test_draws_do_not_depend_on_other_samples() -> None:
    alone = counter_rng.uniform(IDS[5:6], 3, "view", 0, 1)
    assert np.array_equal(counter_rng.uniform(IDS[:9], 3, "view", 0, 1)[5:6], alone)
    assert np.array_equal(counter_rng.uniform(IDS[:9][::-1], 3, "view", 0, 1)[3:4], alone)
    assert np.array_equal(counter_rng.uniform(IDS[5:6], 9, "view", 0, 1)[:, :3], alone)


def test_numbers_are_stable_across_versions() -> None:
    """Recorded outputs and resumed runs rely on them."""
    assert counter_rng.number("view", 0, 1) == int.from_bytes(
        hashlib.blake2b(b"view\x1f0\x1f1", digest_size=8).digest(), "little"
    )
    mask = 2**64 - 1

    def mix(z: int) -> int:
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & mask
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & mask
        return z ^ (z >> 31)

    state = mix(counter_rng.number("a") ^ counter_rng.number("view", 0, 1))
    expected = [(mix((state + 0x9E3779B97F4A7C15 * i) & mask) >> 40) / 2**24 for i in (1, 2, 3)]
    drawn = counter_rng.uniform(counter_rng.id_numbers(["a"]), 3, "view", 0, 1)
    assert drawn[0].tolist() == expected


@quick
@given(n=st.integers(0, 300), seed=st.integers(0, 9), epoch=st.integers(0, 9))
def test_permutation_is_complete_and_reproducible(n: int, seed: int, epoch: int) -> None:
    order = counter_rng.permutation(n, "order", seed, epoch)
    assert sorted(order) == list(range(n))
    assert np.array_equal(order, counter_rng.permutation(n, "order", seed, epoch))


def test_epochs_have_different_permutations() -> None:
    orders = {tuple(counter_rng.permutation(20, "order", 0, epoch)) for epoch in range(50)}
    assert len(orders) == 50


def test_key_parts_are_separated() -> None:
    assert counter_rng.number("a", "b") != counter_rng.number("ab")
    assert counter_rng.number(1, 12) != counter_rng.number(11, 2)


def test_torch_uniform_is_a_function_of_its_key() -> None:
    numbers = counter_rng.torch_uniform((3, 500), "strategy", 0, 7, "drop")
    assert numbers.shape == (3, 500)
    assert numbers.dtype == torch.float32
    assert numbers.min() >= 0
    assert numbers.max() < 1
    assert abs(numbers.mean() - 0.5) < 0.05
    assert torch.equal(numbers, counter_rng.torch_uniform((3, 500), "strategy", 0, 7, "drop"))
    assert not torch.equal(numbers, counter_rng.torch_uniform((3, 500), "strategy", 0, 8, "drop"))
    assert counter_rng.torch_uniform((), "x").shape == ()


def test_draws_leave_global_generators_unchanged() -> None:
    before = torch.get_rng_state()
    counter_rng.torch_uniform((5,), "x")
    counter_rng.permutation(5, "x")
    assert torch.equal(before, torch.get_rng_state())


def test_seeded_torch_repeats() -> None:
    counter_rng.seed_torch("step", 0, 3)
    first = torch.rand(4)
    counter_rng.seed_torch("step", 0, 3)
    assert torch.equal(first, torch.rand(4))
    counter_rng.seed_torch("step", 0, 4)
    assert not torch.equal(first, torch.rand(4))
