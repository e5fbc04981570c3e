"""Memory-mapped arrays of the store, under a lock that pruning respects."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from mtkd_cli.files.lock import lock


def map_array(path: Path) -> NDArray[Any]:
    """Return the array of a ``.npy`` file, memory-mapped for reading.

    The mapping keeps the file open, and with it a shared lock, until the array is deleted or the process ends
    in any way; no list of readers can become stale.

    Raises:
        OSError: the file cannot be read.
        ValueError: the file is not a valid array, or is truncated.
    """
    with path.open("rb") as file:
        with contextlib.suppress(OSError):
            lock(file, shared=True, wait=True)
        npy.read_magic(file)
        shape, _, dtype = npy.read_array_header_1_0(file)
        if dtype.hasobject:
            raise ValueError("the array holds objects")  # its bytes would be interpreted as pointers
        return np.memmap(file, dtype, "r", file.tell(), shape)


@contextmanager
def reserve(folder: Path) -> Iterator[bool]:
    """Yield whether no process reads an array in ``folder``; inside the context, none can start to."""
    with contextlib.ExitStack() as stack:
        free = True
        try:
            for path in folder.glob("*.npy"):
                free = free and lock(stack.enter_context(path.open("rb+")))
        except OSError:
            free = False
        yield free
