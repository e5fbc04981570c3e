"""List, verify and prune the store."""

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

from mtkd_cli.files import atomic, sampled_check
from mtkd_cli.store import content_store, file_manifest, mapped_arrays, recorded_outputs, worker_claims
from mtkd_cli.store.rounding import describe_rounding
from mtkd_cli.store.row_format import Layout

KINDS = ("outputs", "fitted", "alone", "pseudo-labels", "all-labels", "rungs", "teachers", "images", "files")
"""Kinds of content: the folders of the store."""

CELLS = "cells"
"""Folder with the locks of the runs of a comparison; it has no items."""

FOLDER = re.compile(r"[0-9a-f]{32}|\.[0-9a-f]{32}(\.\d+)?\.(partial|unfinished)")
"""Names of complete folders, and of leftovers of killed processes."""

FLOAT32_TOLERANCE = 1e-6
"""Largest allowed difference of values as a share of the largest: teachers compute in float32."""


@dataclass(frozen=True)
class Item:
    """One folder of the store.

    Attributes:
        kind: one of `KINDS`.
        folder: its path.
        what: short description of the content.
        bytes: size of its files.
        last_used: time of the last use by a run, in seconds since 1970.
        is_complete: whether it is complete; leftovers and partly recorded arrays are not.
        rounding: largest rounding error of recorded outputs, in words; empty if unknown.
        model: model of its teacher or student, ``provider:model``; empty for data.
    """

    kind: str
    folder: Path
    what: str
    bytes: int
    last_used: float
    is_complete: bool
    rounding: str = ""
    model: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Return the item for JSON."""
        return {
            "kind": self.kind,
            "name": self.folder.name,
            "what": self.what,
            "model": self.model,
            "bytes": self.bytes,
            "age_seconds": round(time.time() - self.last_used),
            "complete": self.is_complete,
            **({"rounding": self.rounding} if self.rounding else {}),
        }


def list_items() -> list[Item]:
    """Return all items in the store, most recently used first."""
    return sorted(_read_items(), key=lambda item: -item.last_used)


def prune(older_than_days: float | None, larger_than_bytes: int | None) -> tuple[list[Item], list[Item]]:
    """Remove items unused for a number of days, then the oldest until the store is small enough.

    Also removes the lock files of all items that do not exist any more.

    Returns:
        Removed items, and items kept because a running process uses them.

    Raises:
        DataError: an item cannot be removed.
    """
    present = list_items()
    total = sum(item.bytes for item in present)
    removed: list[Item] = []
    in_use: list[Item] = []
    for item in reversed(present):
        is_old = older_than_days is not None and time.time() - item.last_used > older_than_days * 86400
        is_over_limit = larger_than_bytes is not None and total > larger_than_bytes
        if not is_old and not is_over_limit:
            continue
        if _remove(item.folder):
            total -= item.bytes
            removed.append(item)
        else:
            in_use.append(item)
    for kind in (*KINDS, CELLS):  # the root may have folders of other programs
        for path in (content_store.root() / kind).glob(".*.lock"):
            content_store.remove_unused_lock(path)
    return removed, in_use


def damaged_items() -> list[Item]:
    """Return complete items whose content does not match its checksums. The next use notices it, too."""
    damaged = [item for item in list_items() if item.is_complete and not _is_intact(item)]
    for item in damaged:
        sampled_check.forget(item.folder)
    return damaged


def _remove(folder: Path) -> bool:
    """Remove a folder; return False if a process uses it."""
    with atomic.disk_errors(folder):
        if worker_claims.has_living_owner(folder):
            return False
    try:
        with content_store.lock_folder(folder, wait=False), mapped_arrays.reserve(folder) as free:
            if free:
                with atomic.disk_errors(folder):
                    shutil.rmtree(folder)
                    worker_claims.remove_claims(folder)
            return free
    except BlockingIOError:
        return False


def _is_intact(item: Item) -> bool:
    if item.kind == "files":
        return file_manifest.load(item.folder) is not None
    if item.kind != "outputs":
        return content_store.is_intact(item.folder)
    samples = _read_key(item.folder).get("samples")
    array = recorded_outputs.open_array(item.folder, samples) if isinstance(samples, int) else None
    return array is not None and not recorded_outputs.missing_shards(array, array.rows.shape[0])


def _read_items() -> Iterator[Item]:
    for kind in KINDS:
        try:
            folders = [
                path for path in (content_store.root() / kind).iterdir() if FOLDER.fullmatch(path.name)
            ]
        except OSError:
            continue
        yield from filter(None, (_read_item(kind, folder) for folder in folders))


def _read_item(kind: str, folder: Path) -> Item | None:
    """Return the item of a folder; None if the folder cannot be read."""
    try:
        with os.scandir(folder) as entries:
            stats = [entry.stat() for entry in entries]
        used = max([stat.st_mtime for stat in stats], default=folder.stat().st_mtime)
    except OSError:
        return None
    key = _read_key(folder)
    done, rounding = not folder.name.startswith("."), ""
    if kind == "outputs":
        done = len(recorded_outputs.read_checksums(folder)) >= _shard_count(key)
        rounding = _rounding_text(folder, key)
    size = sum(stat.st_size for stat in stats)
    return Item(kind, folder, _describe(kind, key), size, used, done, rounding, _find_model(key, "model"))


def _rounding_text(folder: Path, key: dict[str, Any]) -> str:
    rounding, layout = recorded_outputs.read_rounding(folder), key.get("layout")
    kind = layout.get("kind") if isinstance(layout, dict) else None
    return describe_rounding(rounding, str(kind)) if rounding is not None and kind else ""


def _shard_count(key: dict[str, Any]) -> int:
    """Return the number of shards of a complete array."""
    try:
        return Layout.from_dict(key["layout"]).shard_count(int(key["samples"]))
    except (KeyError, TypeError, ValueError):
        return 1


def _read_key(folder: Path) -> dict[str, Any]:
    try:
        key = json.loads((folder / "key.json").read_text())
    except (OSError, ValueError):
        return {}
    return key if isinstance(key, dict) else {}


def _describe(kind: str, key: dict[str, Any]) -> str:
    """Describe the content of a key in a few words."""
    model = _find_model(key, "model")
    if kind == "outputs":
        return f"{model}, {key.get('split')} view {key.get('view')}, {key.get('samples')} samples"
    if kind == "rungs":
        return f"{_find_model(key.get('student'), 'model')}, rung {len(key.get('rungs', ()))}"
    if kind == "files":
        return f"records of {key.get('files')} files in {key.get('root')}"
    if kind == "images":
        if "statistics" in key:
            return "mean and deviation of images"
        return f"images at {key['size']} px" if "size" in key else "files of a data source"
    return str(model or f"{key.get('size')} px")


def _find_model(value: Any, name: str) -> str:
    """Return ``provider:model`` from any level of a key."""
    if isinstance(value, dict):
        if isinstance(value.get(name), str):
            return f"{str(value.get('provider', '')).rpartition(':')[2]}:{value[name]}"
        return next((found for inner in value.values() if (found := _find_model(inner, name))), "")
    return ""
