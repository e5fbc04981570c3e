"""What is known of a split's inputs without reading them."""

from __future__ import annotations

import math

import numpy as np

from mtkd_cli.interfaces import Samples


def are_in_memory(samples: Samples) -> bool:
    """Whether reading inputs is a copy from memory or a memory map, and decodes nothing."""
    return isinstance(samples.inputs, np.ndarray)


def describe_storage(samples: Samples) -> tuple[str, int]:
    """Return where the inputs are (``disk``, ``memory`` or ``none``), and their decoded size in bytes."""
    size = math.prod(samples.inputs.shape) * samples.inputs.dtype.itemsize
    if isinstance(samples.inputs, np.memmap):
        return "disk", size
    return "memory" if are_in_memory(samples) else "none", size
