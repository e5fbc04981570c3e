"""Say which folders of the store a running process reads, so that pruning leaves them."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from mtkd_cli import store


@contextmanager
def holding(folders: Iterable[Path]) -> Iterator[None]:
    """Hold folders of the store. The hold ends with the process, however that ends."""
    place = store.root() / "held"
    place.mkdir(parents=True, exist_ok=True)
    names = place / f"{os.uname().nodename}-{os.getpid()}.json"
    with FileLock(names.with_suffix(".lock")):
        names.write_text(json.dumps(sorted(str(folder) for folder in folders)))
        try:
            yield
        finally:
            names.unlink(missing_ok=True)
    names.with_suffix(".lock").unlink(missing_ok=True)


def held() -> set[Path]:
    """Return the folders that living processes hold; forget those of dead ones."""
    found: set[Path] = set()
    for names in (store.root() / "held").glob("*.json"):
        lock = FileLock(names.with_suffix(".lock"), timeout=0)
        try:
            with lock:
                names.unlink(missing_ok=True)
        except Timeout:
            found |= {Path(folder) for folder in json.loads(names.read_text())}
    return found
