"""Arrays of the store as a running process reads them: memory-mapped, under a lock that pruning respects."""

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


def mapped(path: Path) -> NDArray[Any]:
    """Return the array of a ``.npy`` file, memory-mapped for reading.

    The mapping keeps the file open and with it a shared lock. So the file is held until the array
    is forgotten or the process ends, however that ends; no list of holders can go stale.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is no array, or shorter than it says.
    """
    with path.open("rb") as file:
        with contextlib.suppress(OSError):
            lock(file, shared=True, wait=True)
        npy.read_magic(file)
        shape, _, dtype = npy.read_array_header_1_0(file)
        if dtype.hasobject:
            raise ValueError("the array holds objects")  # its bytes would be taken for their addresses
        return np.memmap(file, dtype, "r", file.tell(), shape)


@contextmanager
def reserved(folder: Path) -> Iterator[bool]:
    """Give whether no process reads an array in ``folder``; within, none starts to."""
    with contextlib.ExitStack() as stack:
        free = True
        try:
            for path in folder.glob("*.npy"):
                free = free and lock(stack.enter_context(path.open("rb+")))
        except OSError:
            free = False
        yield free
