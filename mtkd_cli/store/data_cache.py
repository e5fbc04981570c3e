"""The store as data sources see it: `mtkd_cli.interfaces.DataCache`."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from mtkd_cli.store import content_store, mapped_arrays

KIND = "images"


def _folder() -> Path:
    return content_store.root() / KIND


@dataclass(frozen=True)
class StoreCache:
    """Keeps what data sources make under ``images`` in the store.

    Sources that were written for a `Path` use it as one: as an argument, with ``/`` and by its methods.

    Attributes:
        folder: for files that sources look after themselves.
    """

    folder: Path = field(default_factory=_folder)

    def keep(self, key: Mapping[str, Any], write: Callable[[Path], None]) -> Path:
        """Return the folder that ``write`` filled once for ``key``."""
        return content_store.keep(KIND, key, write)

    def mapped(self, path: Path) -> NDArray[Any]:
        """Return the array of a ``.npy`` file, memory-mapped, held until it is forgotten."""
        return mapped_arrays.mapped(path)

    def __fspath__(self) -> str:
        return str(self.folder)

    def __str__(self) -> str:
        return str(self.folder)

    def __truediv__(self, name: str | os.PathLike[str]) -> Path:
        return self.folder / name

    def __getattr__(self, name: str) -> Any:
        if name == "folder" or name.startswith("__"):  # copy asks before there is a folder
            raise AttributeError(name)
        return getattr(self.folder, name)
