"""Checkpoints on disk: written atomically, verified when read; the last two are kept.

A checkpoint is a folder ``step-000000120`` with tensors (safetensors), metadata (JSON) and a manifest, see
`mtkd_cli.files.whole_folder`: a process killed at any moment leaves the earlier checkpoints intact. The
newest is found by its folder name; no other file has to point to it.
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

MAX_CHECKPOINTS = 2
TENSORS, METADATA = "tensors.safetensors", "facts.json"


@dataclass(frozen=True)
class Checkpoint:
    """The content of one checkpoint."""

    step: int
    tensors: Mapping[str, Tensor]
    metadata: Mapping[str, Any]


@dataclass(frozen=True)
class NewestCheckpoint:
    """The newest intact checkpoint, if there is one.

    Attributes:
        checkpoint: its content; None if there are no checkpoints.
        damaged: reason for each newer checkpoint that could not be read.
    """

    checkpoint: Checkpoint | None
    damaged: Mapping[Path, str]


def write(folder: Path, step: int, tensors: Mapping[str, Tensor], metadata: Mapping[str, Any]) -> None:
    """Write a checkpoint, then remove all but the last two.

    Raises:
        DataError: the disk is full, read-only or otherwise unusable; earlier checkpoints are unchanged.
    """
    new = folder / f"step-{step:09d}"
    size = sum(t.numel() * t.element_size() for t in tensors.values())
    with atomic.disk_errors(new, size):
        _remove_leftovers(folder)
    with whole_folder.create(new, size) as partial:
        weights.write(partial / TENSORS, tensors)
        (partial / METADATA).write_text(json.dumps(metadata), encoding="utf-8")
    keep_last(folder, MAX_CHECKPOINTS)


def keep_last(folder: Path, count: int) -> None:
    """Remove all checkpoints but the last ``count``."""
    with atomic.disk_errors(folder):
        for old in list_checkpoints(folder)[:-count]:
            # Rename first: a partly removed folder must not look like a damaged checkpoint.
            old.rename(old.with_name(f".{old.name}.old"))
        _remove_leftovers(folder)


def load_newest(folder: Path) -> NewestCheckpoint:
    """Read the newest intact checkpoint.

    Raises:
        DataError: all checkpoints are damaged. Nothing is removed.
    """
    damaged: dict[Path, str] = {}
    for path in reversed(list_checkpoints(folder)):
        try:
            return NewestCheckpoint(_read(path), damaged)
        except (OSError, ValueError, RecursionError, DataError) as error:
            damaged[path] = str(error)
    if damaged:
        newest, reason = next(iter(damaged.items()))
        raise DataError(
            f"every checkpoint is damaged; the newest, {newest.name}: {reason}",
            where=str(folder),
            hint="restore a copy, or remove this folder to train from the start",
        )
    return NewestCheckpoint(None, {})


def set_aside(damaged: Path) -> None:
    """Rename a damaged checkpoint, so that a new one can be written under its name."""
    with atomic.disk_errors(damaged):
        aside = damaged.with_name(f"damaged-{damaged.name}")
        shutil.rmtree(aside, ignore_errors=True)
        damaged.rename(aside)


def list_checkpoints(folder: Path) -> list[Path]:
    """Return the folders of all checkpoints, oldest first."""
    return sorted(folder.glob("step-" + "[0-9]" * 9)) if folder.is_dir() else []


def _read(folder: Path) -> Checkpoint:
    """Read and verify a checkpoint.

    Raises:
        OSError, ValueError, RecursionError, DataError: the checkpoint is damaged.
    """
    paths = [folder, *(folder / name for name in (TENSORS, METADATA, whole_folder.MANIFEST))]
    if any(path.is_symlink() for path in paths):
        raise ValueError("it contains a symbolic link")
    whole_folder.check(folder, TENSORS, METADATA)
    tensors, _ = weights.read(folder / TENSORS)
    return Checkpoint(int(folder.name[-9:]), tensors, json.loads((folder / METADATA).read_bytes()))


def _remove_leftovers(folder: Path) -> None:
    for leftover in folder.glob(".step-*"):
        shutil.rmtree(leftover)
