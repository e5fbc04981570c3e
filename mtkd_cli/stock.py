"""Take stock of the store: what is in it, whether it is still right, what may go."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mtkd_cli import holds, record, recorded, store
from mtkd_cli.context import Context
from mtkd_cli.fit import fitted
from mtkd_cli.models import load_teacher, prepared
from mtkd_cli.teachers import who_is
from mtkd_cli.views import PLAIN, view

KINDS = ("outputs", "fitted", "alone", "teachers", "images")
VERIFIED = 32
"""Samples of each array that are computed again."""

TOLERANCE = {"fp16": 2e-3, "fp32": 1e-4}
"""Largest allowed difference, as a share of the largest answer."""


@dataclass(frozen=True)
class Item:
    """One folder of the store. ``used`` is when it was last read or written, in seconds since 1970."""

    kind: str
    folder: Path
    what: str
    bytes: int
    used: float
    complete: bool

    def as_dict(self) -> dict[str, Any]:
        """Return the item for JSON."""
        return {
            "kind": self.kind,
            "name": self.folder.name,
            "what": self.what,
            "bytes": self.bytes,
            "age_seconds": round(time.time() - self.used),
            "complete": self.complete,
        }


def items() -> list[Item]:
    """Return everything in the store, the oldest last."""
    return sorted(_items(), key=lambda item: -item.used)


def prune(older_than_days: float | None, larger_than_bytes: int | None) -> tuple[list[Item], list[Item]]:
    """Remove the items unused for so many days, then the oldest until the store is small enough.

    Returns:
        (removed, kept because a running process holds them).
    """
    held = holds.held()
    present = items()
    total = sum(item.bytes for item in present)
    removed: list[Item] = []
    spared: list[Item] = []
    for item in reversed(present):
        old = older_than_days is not None and time.time() - item.used > older_than_days * 86400
        over = larger_than_bytes is not None and total > larger_than_bytes
        if not old and not over:
            continue
        if item.folder in held:
            spared.append(item)
            continue
        with store.locked(item.folder):
            shutil.rmtree(item.folder, ignore_errors=True)
        total -= item.bytes
        removed.append(item)
    return removed, spared


def damaged() -> list[Item]:
    """Return the recorded arrays with a shard that is missing or not what was written."""
    found = []
    for item in items():
        if item.kind == "outputs":
            samples = int(_key(item.folder).get("samples", 0))
            array = recorded.opened(item.folder, samples)
            if array is None or recorded.missing(array, samples):
                found.append(item)
    return found


def differences(context: Context) -> Iterator[dict[str, Any]]:
    """Ask a recipe's teachers again about some samples; yield how far each recorded array is off."""
    data = context.data
    for teacher, part in zip(context.recipe.teachers, context.parts.teachers, strict=True):
        who = who_is(teacher, part, context)
        model = fitted(load_teacher(part, teacher, data, context.task.outputs), who["fit"], teacher, context)
        module = prepared(model).to(context.device).eval()
        for split in data.splits:
            for number in range(64):
                array = recorded.find(record.key(who, split, number, context.recipe), len(split))
                if array is None:
                    break
                rows = np.linspace(0, len(split) - 1, min(VERIFIED, len(split))).astype(np.int64)
                shown = view(
                    split.samples.images(rows),
                    split.id_numbers[rows],
                    number,
                    context.recipe.views.seed,
                    context.recipe.augment,
                    context.device,
                )
                with torch.inference_mode():
                    live = module(shown).float().cpu()
                live = array.layout.decode(array.layout.encode(live)[0])
                difference = (live - array[rows]).abs().max().item()
                limit = TOLERANCE[context.recipe.store.precision] * max(1.0, live.abs().max().item())
                yield {
                    "teacher": teacher.name,
                    "split": split.name,
                    "view": number,
                    "difference": difference,
                    "same": difference <= limit,
                }
                if split.name != "train" and number == PLAIN:
                    break


def _items() -> Iterator[Item]:
    for kind in KINDS:
        for folder in (store.root() / kind).glob("[0-9a-f]*"):
            files = [file for file in folder.iterdir() if file.is_file()] if folder.is_dir() else []
            if files:
                stats = [file.stat() for file in files]
                done = (folder / ("shards.jsonl" if kind == "outputs" else "manifest.json")).exists()
                used = max(max(s.st_mtime, s.st_atime) for s in stats)
                yield Item(kind, folder, _what(kind, _key(folder)), sum(s.st_size for s in stats), used, done)


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
