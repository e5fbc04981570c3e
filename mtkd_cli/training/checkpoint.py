"""Checkpoints on disk: whole or not there, checked when read, the last two kept.

A checkpoint is a folder ``step-000000120`` of tensors (safetensors), facts (JSON) and a manifest, see
`mtkd_cli.files.whole_folder`: a kill at any moment leaves the ones before it. Names order checkpoints; there
is nothing else that could point to a wrong one.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from mtkd_cli.errors import DataError
from mtkd_cli.files import atomic, whole_folder
from mtkd_cli.safe_loading import weights

KEPT = 2
TENSORS, FACTS = "tensors.safetensors", "facts.json"


@dataclass(frozen=True)
class Checkpoint:
    """What was read of one: its number of steps, tensors and facts."""

    step: int
    tensors: Mapping[str, Tensor]
    facts: Mapping[str, Any]


@dataclass(frozen=True)
class Newest:
    """The newest checkpoint that is what was written, if there is one; what is wrong with later ones."""

    checkpoint: Checkpoint | None
    damaged: Mapping[Path, str]


def write(place: Path, step: int, tensors: Mapping[str, Tensor], facts: Mapping[str, Any]) -> None:
    """Add a checkpoint and remove all but the last two.

    Raises:
        DataError: the disk is full, read-only or otherwise unusable; those before are as they were.
    """
    folder = place / f"step-{step:09d}"
    size = sum(t.numel() * t.element_size() for t in tensors.values())
    with atomic.disk_errors(folder, size):
        _remove_leftovers(place)
    with whole_folder.create(folder, size) as part:
        weights.write(part / TENSORS, tensors)
        (part / FACTS).write_text(json.dumps(facts), encoding="utf-8")
    keep_last(place, KEPT)


def keep_last(place: Path, count: int) -> None:
    """Remove all checkpoints but the last ``count``."""
    with atomic.disk_errors(place):
        for old in numbered(place)[:-count]:
            # Renamed first: what is removed in part must not look like a damaged checkpoint.
            old.rename(old.with_name(f".{old.name}.old"))
        _remove_leftovers(place)


def newest(place: Path) -> Newest:
    """Read the newest checkpoint that is what was written.

    Raises:
        DataError: there are checkpoints, and every one is damaged. Nothing is removed.
    """
    damaged: dict[Path, str] = {}
    for folder in reversed(numbered(place)):
        try:
            return Newest(_read(folder), damaged)
        except (OSError, ValueError, RecursionError, DataError) as error:
            damaged[folder] = str(error)
    if damaged:
        folder, reason = next(iter(damaged.items()))
        raise DataError(
            f"every checkpoint is damaged; the newest, {folder.name}: {reason}",
            where=str(place),
            hint="put back a copy, or remove this folder to train from the start",
        )
    return Newest(None, {})


def set_aside(damaged: Path) -> None:
    """Rename a damaged checkpoint, so that a new one can take its number."""
    with atomic.disk_errors(damaged):
        aside = damaged.with_name(f"damaged-{damaged.name}")
        shutil.rmtree(aside, ignore_errors=True)
        damaged.rename(aside)


def numbered(place: Path) -> list[Path]:
    """Return the folders of checkpoints, the oldest first."""
    return sorted(place.glob("step-" + "[0-9]" * 9)) if place.is_dir() else []


def _read(folder: Path) -> Checkpoint:
    """Return a checkpoint; ValueError, DataError or OSError says what is wrong with it."""
    paths = [folder, *(folder / name for name in (TENSORS, FACTS, whole_folder.MANIFEST))]
    if any(path.is_symlink() for path in paths):
        raise ValueError("there is a link in it")
    whole_folder.check(folder, TENSORS, FACTS)
    tensors, _ = weights.read(folder / TENSORS)
    return Checkpoint(int(folder.name[-9:]), tensors, json.loads((folder / FACTS).read_bytes()))


def _remove_leftovers(place: Path) -> None:
    for leftover in place.glob(".step-*"):
        shutil.rmtree(leftover)
