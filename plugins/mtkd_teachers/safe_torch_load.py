"""Keep libraries from unpickling files in their caches, which they do not verify again."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

FORCE = "TORCH_FORCE_WEIGHTS_ONLY_LOAD"
"""Environment variable that forces ``weights_only=True`` in `torch.load`."""


@contextmanager
def tensors_only() -> Iterator[None]:
    """Make `torch.load` raise `pickle.UnpicklingError` on anything but tensors."""
    before = os.environ.get(FORCE)
    os.environ[FORCE] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ[FORCE]
        else:
            os.environ[FORCE] = before
