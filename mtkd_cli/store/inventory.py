"""Take stock of the store: what is in it, whether it is still right, what may go."""

from __future__ import annotations

import json
import os
import re
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mtkd_cli.files import atomic
from mtkd_cli.store import content_store, mapped_arrays, recorded_outputs
from mtkd_cli.store.rounding import in_words
from mtkd_cli.store.row_format import Layout

KINDS = ("outputs", "fitted", "alone", "pseudo-labels", "all-labels", "teachers", "images")
FOLDER = re.compile(r"[0-9a-f]{32}|\.[0-9a-f]{32}\.(partial|unfinished)")


FLOAT32 = 1e-6
"""Largest allowed difference of values as a share of the largest: teachers compute in float32."""


@dataclass(frozen=True)
class Item:
    """One folder of the store.

    Attributes:
        used: when a run last asked for it, in seconds since 1970.
        rounding: how much recording changed the outputs in it, in words; empty if that was not kept.
    """

    kind: str
    folder: Path
    what: str
    bytes: int
    used: float
    complete: bool
    rounding: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Return the item for JSON."""
        return {
            "kind": self.kind,
            "name": self.folder.name,
            "what": self.what,
            "bytes": self.bytes,
            "age_seconds": round(time.time() - self.used),
            "complete": self.complete,
            **({"rounding": self.rounding} if self.rounding else {}),
        }


def items() -> list[Item]:
    """Return everything in the store, the oldest last."""
    return sorted(_items(), key=lambda item: -item.used)


def prune(older_than_days: float | None, larger_than_bytes: int | None) -> tuple[list[Item], list[Item]]:
    """Remove the items unused for so many days, then the oldest until the store is small enough.

    Returns:
        (removed, kept because a running process reads or writes them).

    Raises:
        DataError: the disk does not let them be removed.
    """
    present = items()
    total = sum(item.bytes for item in present)
    removed: list[Item] = []
    spared: list[Item] = []
    for item in reversed(present):
        old = older_than_days is not None and time.time() - item.used > older_than_days * 86400
        over = larger_than_bytes is not None and total > larger_than_bytes
        if not old and not over:
            continue
        if _remove(item.folder):
            total -= item.bytes
            removed.append(item)
        else:
            spared.append(item)
    return removed, spared


def damaged() -> list[Item]:
    """Return what is not what was written. What is only not complete is no damage."""
    return [item for item in items() if item.complete and not _is_right(item)]


def _remove(folder: Path) -> bool:
    """Remove a folder; False if a process writes or reads it."""
    try:
        with content_store.locked(folder, wait=False), mapped_arrays.reserved(folder) as free:
            if free:
                with atomic.disk_errors(folder):
                    shutil.rmtree(folder)
            return free
    except BlockingIOError:
        return False


def _is_right(item: Item) -> bool:
    if item.kind != "outputs":
        return content_store.is_intact(item.folder)
    samples = _key(item.folder).get("samples")
    array = recorded_outputs.opened(item.folder, samples) if isinstance(samples, int) else None
    return array is not None and not recorded_outputs.missing(array, array.rows.shape[0])


def _items() -> Iterator[Item]:
    for kind in KINDS:
        try:
            folders = [
                path for path in (content_store.root() / kind).iterdir() if FOLDER.fullmatch(path.name)
            ]
        except OSError:
            continue
        yield from filter(None, (_item(kind, folder) for folder in folders))


def _item(kind: str, folder: Path) -> Item | None:
    """Return what a folder holds; None if it is gone or is none."""
    try:
        with os.scandir(folder) as entries:
            stats = [entry.stat() for entry in entries]
        used = max([stat.st_mtime for stat in stats], default=folder.stat().st_mtime)
    except OSError:
        return None
    key = _key(folder)
    done, rounding = not folder.name.startswith("."), ""
    if kind == "outputs":
        done = len(recorded_outputs.ledger(folder)) >= _shards(key)
        rounding = _rounding(folder, key)
    size = sum(stat.st_size for stat in stats)
    return Item(kind, folder, _what(kind, key), size, used, done, rounding)


def _rounding(folder: Path, key: dict[str, Any]) -> str:
    known, layout = recorded_outputs.rounding_in(folder), key.get("layout")
    kind = layout.get("kind") if isinstance(layout, dict) else None
    return in_words(known, str(kind)) if known is not None and kind else ""


def _shards(key: dict[str, Any]) -> int:
    """Return how many shards an array has when it is complete."""
    try:
        return Layout.from_dict(key["layout"]).shards(int(key["samples"]))
    except (KeyError, TypeError, ValueError):
        return 1


def _key(folder: Path) -> dict[str, Any]:
    try:
        key = json.loads((folder / "key.json").read_text())
    except (OSError, ValueError):
        return {}
    return key if isinstance(key, dict) else {}


def _what(kind: str, key: dict[str, Any]) -> str:
    """Return in a few words what a key stands for."""
    model = _find(key, "model")
    if kind == "outputs":
        return f"{model}, {key.get('split')} view {key.get('view')}, {key.get('samples')} samples"
    if kind == "images":
        return f"images at {key['size']} px" if "size" in key else "files of a data source"
    return str(model or f"{key.get('size')} px")


def _find(value: Any, name: str) -> str:
    """Return ``provider:model`` from wherever a key keeps it."""
    if isinstance(value, dict):
        if isinstance(value.get(name), str):
            return f"{str(value.get('provider', '')).rpartition(':')[2]}:{value[name]}"
        return next((found for inner in value.values() if (found := _find(inner, name))), "")
    return ""
