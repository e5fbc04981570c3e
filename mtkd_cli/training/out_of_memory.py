"""Say what did not fit into memory, instead of how torch or NumPy says it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from mtkd_cli.errors import MemoryFullError

SAID = ("can't allocate memory", "not enough memory", "out of memory")
"""What torch says of a CPU's memory and of a GPU's, in an error that is no other than a RuntimeError."""


@contextmanager
def memory_errors(where: str, hint: str) -> Iterator[None]:
    """Turn a lack of memory into an error that a user can act on.

    Args:
        where: what was in memory: the batch, the models.
        hint: what would take less.

    Raises:
        MemoryFullError: with how much was asked for, if that is known.
    """
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        said = str(error)
        if not isinstance(error, MemoryError) and not any(words in said for words in SAID):
            raise
        asked = (said.splitlines() or [""])[0].rpartition("] ")[2]
        raise MemoryFullError(f"out of memory: {asked}".removesuffix(": "), where, hint) from error
