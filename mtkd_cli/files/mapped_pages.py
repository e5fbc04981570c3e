"""Give the pages of memory maps back to the system."""

from __future__ import annotations

import mmap
from typing import Any

from numpy.typing import NDArray


def release_pages(array: NDArray[Any] | None) -> None:
    """Release the pages of a file that is mapped for reading; they are read again when they are needed.

    Use it after a pass over all of a large array. Other arrays are left alone.
    """
    mapping = getattr(array, "_mmap", None)  # of a memmap and its views
    if (
        isinstance(mapping, mmap.mmap)
        and getattr(array, "mode", "") == "r"
        and hasattr(mmap, "MADV_DONTNEED")
    ):
        mapping.madvise(mmap.MADV_DONTNEED)
