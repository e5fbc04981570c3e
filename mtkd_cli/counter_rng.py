"""Counter-based random numbers: no generator state is saved, and a run repeats bit for bit.

A draw is a pure function of its key (seed, epoch, sample id, view number, step). It does not depend on
earlier draws, on the number of workers, or on a resume.
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
    """Return a 64-bit hash of ``parts``."""
    text = "\x1f".join(map(str, parts))
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little")


def generator(*parts: str | int) -> np.random.Generator:
    """Return a NumPy Philox generator with the key ``parts``."""
    return np.random.Generator(np.random.Philox(key=number(*parts)))


def permutation(n: int, *parts: str | int) -> NDArray[np.int64]:
    """Return a random permutation of ``n`` indices, a function of ``parts`` (seed, epoch, ...)."""
    return generator(*parts).permutation(n)


def id_numbers(ids: Iterable[str]) -> NDArray[np.uint64]:
    """Return the 64-bit hash of each sample id, ``[N]``."""
    return np.fromiter((number(i) for i in ids), dtype=np.uint64)


def uniform(samples: NDArray[np.uint64], draws: int, *parts: str | int) -> NDArray[np.float32]:
    """Return uniform numbers in [0, 1), ``[B, draws]``: each row is a function of its sample and ``parts``.

    The finalizer of SplitMix64 (Steele, Lea, Flood; OOPSLA 2014), applied to one counter per draw.

    Args:
        samples: ``[B]``, see `id_numbers`.
        draws: numbers for each sample.
        parts: further parts of the key, such as seed and view number.
    """
    with np.errstate(over="ignore"):
        state = _mix(samples ^ np.uint64(number(*parts)))[:, None]  # [B, 1]
        bits = _mix(state + _GAMMA * np.arange(1, draws + 1, dtype=np.uint64))  # [B, draws]
    # The upper 24 bits fill the mantissa of a float32.
    return ((bits >> np.uint64(40)).astype(np.float32)) * np.float32(2.0**-24)


def _mix(z: NDArray[np.uint64]) -> NDArray[np.uint64]:
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def seed_torch(*parts: str | int) -> None:
    """Seed torch's global generators (dropout, initial weights) with the hash of ``parts``."""
    import torch

    seed = number(*parts)
    # torch.manual_seed would also queue a call, with its stack trace, for each device type that is missing.
    torch.default_generator.manual_seed(seed)
    if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        torch.cuda.manual_seed_all(seed)


def torch_uniform(shape: tuple[int, ...], *parts: str | int) -> torch.Tensor:
    """Return uniform numbers in [0, 1) of a shape, float32 on the CPU, a function of ``parts``."""
    import torch

    return torch.from_numpy(generator(*parts).random(shape, dtype=np.float32))
