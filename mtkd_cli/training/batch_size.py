"""The batch size that is taken where a recipe names none."""

from __future__ import annotations

import math

from mtkd_cli.distributed import group

SMALLEST, LARGEST = 8, 64
"""BatchNorm's statistics are too noisy below the one; small students gain little speed above the other."""
STEPS = 20
"""Steps of an epoch that are left where the smallest batch allows it: an epoch is also the time between two
evaluations."""
FEW_STEPS = 5


def automatic_batch_size(samples: int) -> int:
    """Return the largest power of two up to `LARGEST` that leaves `STEPS` steps in an epoch of ``samples``.

    Never less than `SMALLEST` samples for each process.
    """
    wanted = min(LARGEST, samples // STEPS)
    power = 2 ** int(math.log2(wanted)) if wanted else 1
    return max(power, SMALLEST * group.size())


def too_few_steps(key: str, batch_size: int, samples: int) -> str:
    """Return what to tell of a batch size that leaves very few steps in an epoch; empty if it does not.

    Args:
        key: the recipe's, for the message.
        batch_size: its value.
        samples: of an epoch.
    """
    steps, smaller = math.ceil(samples / batch_size), automatic_batch_size(samples)
    if steps >= FEW_STEPS or smaller >= batch_size:
        return ""
    count = "1 step" if steps == 1 else f"{steps} steps"
    return (
        f"{key} {batch_size} leaves {count} an epoch of {samples} samples; {smaller} (auto) would be better"
    )
