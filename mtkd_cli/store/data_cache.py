"""The part of the store that data sources use; implements `mtkd_cli.interfaces.DataCache`."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mtkd_cli.store import content_store, described_files, mapped_arrays

KIND = "images"


def _folder() -> Path:
    return content_store.root() / KIND


@dataclass(frozen=True)
class StoreCache:
    """A cache for the files of data sources, under ``images`` in the store.

    It also works like a `Path`, with ``/`` and with the methods of one, for sources that expect a folder.

    Attributes:
        folder: folder for files that sources manage themselves.
        verify_all: whether every file is read again, instead of those that changed and a random sample.
        say: shows a line to the user.
    """

    folder: Path = field(default_factory=_folder)
    verify_all: bool = False
    say: Callable[[str], None] = described_files.LOG.info

    def keep(self, key: Mapping[str, Any], write: Callable[[Path], None]) -> Path:
        """Return the folder of ``key``; if it is missing, create it and fill it with ``write``."""
        return content_store.keep(KIND, key, write, read_all=self.verify_all)

    def describe_files(
        self,
        paths: Sequence[Path],
        describe: Callable[[bytes], tuple[Any, ...]],
        dtype: np.dtype[Any],
        version: str,
    ) -> NDArray[Any]:
        """Return a record about the content of each file, ``[N]``, reading only what changed."""
        return described_files.describe_files(paths, describe, dtype, version, self.verify_all, self.say)

    def mapped(self, path: Path) -> NDArray[Any]:
        """Return the memory-mapped array of a ``.npy`` file; while it exists, pruning keeps the file."""
        return mapped_arrays.map_array(path)

    def __fspath__(self) -> str:
        return str(self.folder)

    def __str__(self) -> str:
        return str(self.folder)

    def __truediv__(self, name: str | os.PathLike[str]) -> Path:
        return self.folder / name

    def __getattr__(self, name: str) -> Any:
        if name == "folder" or name.startswith("__"):  # copy calls this before __init__ sets folder
            raise AttributeError(name)
        return getattr(self.folder, name)
