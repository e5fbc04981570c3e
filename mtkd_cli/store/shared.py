"""Fill a folder of the store by all processes of a run together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mtkd_cli.distributed import group
from mtkd_cli.files.temporary import temporary_folder
from mtkd_cli.store import content_store


@contextmanager
def fill_once_together(kind: str, key: Mapping[str, Any], wait: bool = True) -> Iterator[Path | None]:
    """Yield an empty folder to every process, like `content_store.fill_once`; None if the result exists.

    The files of the first process are kept, those of the others are deleted. At the end, every process can
    read the result in `content_store.folder_of`.

    Args:
        kind: kind of content, see `content_store.fill_once`.
        key: content key: everything that affects the content.
        wait: whether to wait for a process of another run.

    Raises:
        BlockingIOError: a process of another run fills the folder, and ``wait`` is False.
        DataError: the disk is full, read-only or otherwise unusable, or this process uses another store.
    """
    if group.is_first():
        with content_store.fill_once(kind, key, wait=wait) as empty:
            if empty is not None:
                group.broadcast(True)
            yield empty
        group.broadcast(False)
    elif group.broadcast(False):
        with temporary_folder() as temporary:
            yield temporary
        group.broadcast(False)
    else:
        yield None
    folder = content_store.folder_of(kind, key)
    if not folder.is_dir():
        raise content_store.unshared_store_error(folder)
