"""The default batch size, chosen by the number of samples."""

from __future__ import annotations

import math

from mtkd_cli.distributed import group

SMALLEST, LARGEST = 8, 64
"""Below the first, BatchNorm statistics are too noisy; above the second, small students gain little speed."""
STEPS = 20
"""Minimum steps per epoch, if the smallest batch size allows: models are evaluated once per epoch."""
FEW_STEPS = 5
"""Steps per epoch below which the user is warned."""


def automatic_batch_size(samples: int) -> int:
    """Return the largest power of two up to `LARGEST` with at least `STEPS` steps per epoch.

    At least `SMALLEST` samples per process.
    """
    limit = min(LARGEST, samples // STEPS)
    power = 2 ** int(math.log2(limit)) if limit else 1
    return max(power, SMALLEST * group.began_size())


def too_few_steps(key: str, batch_size: int, samples: int) -> str:
    """Return a warning if a batch size leaves very few steps per epoch, else an empty string.

    Args:
        key: recipe key, used in the message.
        batch_size: its value.
        samples: samples per epoch.
    """
    steps, smaller = math.ceil(samples / batch_size), automatic_batch_size(samples)
    if steps >= FEW_STEPS or smaller >= batch_size:
        return ""
    count = "1 step" if steps == 1 else f"{steps} steps"
    return (
        f"{key} {batch_size} leaves {count} an epoch of {samples} samples; {smaller} (auto) would be better"
    )
