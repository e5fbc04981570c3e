"""Take stock of the store: what is in it, whether it is still right, what may go."""

from __future__ import annotations

import itertools
import json
import os
import re
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from filelock import Timeout

from mtkd_cli import record
from mtkd_cli.asking import Ask
from mtkd_cli.data.dataset import Split
from mtkd_cli.data.subset import spread
from mtkd_cli.files import atomic
from mtkd_cli.fit import fitted
from mtkd_cli.interfaces.precision import at_least_float32
from mtkd_cli.models.build import load_teacher
from mtkd_cli.store import content_store, mapped_arrays, recorded_outputs
from mtkd_cli.store.recorded_outputs import Recorded
from mtkd_cli.store.rounding import in_words
from mtkd_cli.store.row_format import VALUES, Layout
from mtkd_cli.teachers import asker, who_is
from mtkd_cli.training.context import Context

KINDS = ("outputs", "fitted", "alone", "teachers", "images")
FOLDER = re.compile(r"[0-9a-f]{32}|\.[0-9a-f]{32}\.(partial|unfinished)")
VERIFIED = 32
"""Samples of each array that are computed again."""

TOLERANCE = {"fp16": 2e-3, "fp32": 1e-4, "fp64": 1e-4}
"""Largest allowed difference of probabilities, and of values as a share of their range."""

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


def differences(context: Context) -> Iterator[dict[str, Any]]:
    """Ask a recipe's teachers again about some samples; yield how far each recorded array is off.

    Only what is recorded is compared, and nothing is fitted for it.
    """
    data = context.data
    for teacher, part in zip(context.recipe.teachers, context.parts.teachers, strict=True):
        who = who_is(teacher, part, context)
        arrays = list(_recorded(who, context))
        if not arrays or (teacher.fit and content_store.find("fitted", who["fit"]) is None):
            continue
        model = fitted(load_teacher(part, teacher, data, context.task), who["fit"], teacher, context)
        ask = asker(model, teacher.name, [split for split, _, _ in arrays], context)
        for split, number, array in arrays:
            difference, limit = _difference(ask, split, number, array)
            place = {"teacher": teacher.name, "split": split.name, "view": number}
            kept = array.rounding
            rounding = None if kept is None else in_words(kept, array.layout.kind)
            yield {**place, "difference": difference, "same": difference <= limit, "rounding": rounding}


def _recorded(who: dict[str, Any], context: Context) -> Iterator[tuple[Split, int, Recorded]]:
    """Yield the arrays of a teacher that are complete, the views of a split from the first on."""
    for split in context.data.splits:
        for number in itertools.count():
            array = recorded_outputs.find(
                record.key(who, split, number, context.recipe, context.task), len(split)
            )
            if array is None:
                break
            yield split, number, array


def _difference(ask: Ask, split: Split, number: int, array: Recorded) -> tuple[float, float]:
    """Return an array's largest difference to the live teacher on some samples, and the largest allowed.

    Logits are compared by their probabilities, which no constant added to a row can hide.
    """
    layout = array.layout
    rows = spread(np.arange(len(split)), VERIFIED)
    live = at_least_float32(ask(split, rows, number)).cpu()
    live = layout.judged(layout.decode(layout.encode(live)))
    difference, limit = (live - layout.judged(array[rows])).abs().max().item(), TOLERANCE[layout.precision]
    if layout.kind == VALUES:
        limit = limit * (live.max() - live.min()).item() + FLOAT32 * live.abs().max().item()
    return difference, limit


def _remove(folder: Path) -> bool:
    """Remove a folder; False if a process writes or reads it."""
    try:
        with content_store.locked(folder, wait=False), mapped_arrays.reserved(folder) as free:
            if free:
                with atomic.disk_errors(folder):
                    shutil.rmtree(folder)
            return free
    except Timeout:
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
    return str(model or f"{key.get('size')} px" if kind != "images" else f"images at {key.get('size')} px")


def _find(value: Any, name: str) -> str:
    """Return ``provider:model`` from wherever a key keeps it."""
    if isinstance(value, dict):
        if isinstance(value.get(name), str):
            return f"{str(value.get('provider', '')).rpartition(':')[2]}:{value[name]}"
        return next((found for inner in value.values() if (found := _find(inner, name))), "")
    return ""
