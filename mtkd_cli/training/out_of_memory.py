"""Turn out-of-memory errors of torch and NumPy into errors with a hint."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from mtkd_cli.errors import MemoryFullError

MESSAGES = ("can't allocate memory", "not enough memory", "out of memory")
"""Messages of torch when memory is full, on a CPU or a GPU: it raises a plain RuntimeError."""


@contextmanager
def memory_errors(where: str, hint: str) -> Iterator[None]:
    """Raise a MemoryFullError when memory is full.

    Args:
        where: what was in memory, such as batch and model, used in the message.
        hint: how to use less memory.

    Raises:
        MemoryFullError: memory is full; the message includes the requested size if known.
    """
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if found := memory_error(error, where, hint):
            raise found from error
        raise


def memory_error(error: Exception, where: str, hint: str) -> MemoryFullError | None:
    """Return the error to raise when memory is full, see `memory_errors`; None for another error."""
    if not isinstance(error, MemoryError | RuntimeError):
        return None
    message = str(error)
    if not isinstance(error, MemoryError) and not any(text in message for text in MESSAGES):
        return None
    details = (message.splitlines() or [""])[0].rpartition("] ")[2]
    return MemoryFullError(f"out of memory: {details}".removesuffix(": "), where, hint)
