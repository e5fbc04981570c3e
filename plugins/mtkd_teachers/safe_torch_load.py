"""Let no library unpickle: a file in its cache is not hashed again, and may not be what was fetched."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

FORCE = "TORCH_FORCE_WEIGHTS_ONLY_LOAD"
"""What makes torch.load take tensors alone, whatever its caller asks for."""


@contextmanager
def tensors_only() -> Iterator[None]:
    """Make `torch.load` raise `pickle.UnpicklingError` on what is more than tensors."""
    before = os.environ.get(FORCE)
    os.environ[FORCE] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ[FORCE]
        else:
            os.environ[FORCE] = before
