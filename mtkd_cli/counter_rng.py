"""Random numbers from counters: nothing random is saved, so a run repeats to the bit.

A draw is a pure function of what it is for (seed, epoch, sample id, view number, step), so it
does not depend on what was drawn before, on the number of workers, or on a resume.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import torch

_GAMMA = np.uint64(0x9E3779B97F4A7C15)


def number(*parts: str | int) -> int:
    """Return 64 bits that stand for ``parts``."""
    text = "\x1f".join(map(str, parts))
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little")


def generator(*parts: str | int) -> np.random.Generator:
    """Return NumPy's Philox generator, keyed by ``parts``."""
    return np.random.Generator(np.random.Philox(key=number(*parts)))


def permutation(n: int, *parts: str | int) -> NDArray[np.int64]:
    """Return the order of ``n`` samples that ``parts`` (seed, epoch, ...) stand for."""
    return generator(*parts).permutation(n)


def id_numbers(ids: Iterable[str]) -> NDArray[np.uint64]:
    """Return 64 bits for each sample id, ``[N]``."""
    return np.fromiter((number(i) for i in ids), dtype=np.uint64)


def uniform(samples: NDArray[np.uint64], draws: int, *parts: str | int) -> NDArray[np.float32]:
    """Return ``[B, draws]`` uniform numbers in [0, 1), each row a function of its sample and ``parts``.

    SplitMix64 (Steele, Lea, Flood; OOPSLA 2014): its finaliser, over a counter per draw.
    """
    with np.errstate(over="ignore"):
        state = _mix(samples ^ np.uint64(number(*parts)))[:, None]
        bits = _mix(state + _GAMMA * np.arange(1, draws + 1, dtype=np.uint64))
    return ((bits >> np.uint64(40)).astype(np.float32)) * np.float32(2.0**-24)


def _mix(z: NDArray[np.uint64]) -> NDArray[np.uint64]:
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def seed_torch(*parts: str | int) -> None:
    """Seed torch's global generators (dropout, initial weights) with ``parts``."""
    import torch

    seed = number(*parts)
    # torch.manual_seed would also queue one call, with its stack, for each absent kind of device.
    torch.default_generator.manual_seed(seed)
    if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        torch.cuda.manual_seed_all(seed)


def torch_uniform(shape: tuple[int, ...], *parts: str | int) -> torch.Tensor:
    """Return a tensor of uniform numbers in [0, 1), float32, on the CPU."""
    import torch

    return torch.from_numpy(generator(*parts).random(shape, dtype=np.float32))
