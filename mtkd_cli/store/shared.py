"""Fill a folder of the store together, by all processes of a run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from mtkd_cli.distributed import group
from mtkd_cli.store import content_store


@contextmanager
def filling_together(kind: str, key: Mapping[str, Any]) -> Iterator[Path | None]:
    """Give every process an empty folder to fill, as `content_store.filling` does; None if there is no need.

    What the first process writes is kept; what the others write is thrown away. At the end every process
    finds it at `content_store.folder_of`.

    Raises:
        DataError: the disk is full, read-only or otherwise unusable, or this process sees another store.
    """
    if group.is_first():
        with content_store.filling(kind, key) as empty:
            if empty is not None:
                group.broadcast(True)
            yield empty
        group.broadcast(False)
    elif group.broadcast(False):
        with TemporaryDirectory() as aside:
            yield Path(aside)
        group.broadcast(False)
    else:
        yield None
    folder = content_store.folder_of(kind, key)
    if not folder.is_dir():
        raise content_store.not_here(folder)
