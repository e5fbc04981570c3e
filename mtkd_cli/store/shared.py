"""Keep in the store what all processes of a run make together."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from mtkd_cli.distributed import group
from mtkd_cli.store import content_store


def keep_together(kind: str, key: Mapping[str, Any], write: Callable[[Path], None]) -> Path:
    """Return the folder of ``key`` as `mtkd_cli.store.content_store.keep` does; every process has a share in
    ``write``.

    The first process keeps what it wrote; what the others wrote is thrown away.

    Raises:
        DataError: the disk is full, read-only or otherwise unusable, or this process sees another store.
    """
    if group.is_first():

        def lead(folder: Path) -> None:
            group.broadcast(True)
            write(folder)

        kept = content_store.keep(kind, key, lead)
        group.broadcast(False)
        return kept
    if group.broadcast(False):
        with TemporaryDirectory() as aside:
            write(Path(aside))
        group.broadcast(False)
    folder = content_store.root() / kind / content_store.digest(key)
    if not folder.is_dir():
        raise content_store.not_here(folder)
    return folder
