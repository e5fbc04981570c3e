"""Recorded outputs on disk: one array per teacher, split and view, in shards that are checked when read.

A folder holds ``key.json`` (everything that decides the content), ``outputs.npy`` (memory-mapped,
one row a sample) and ``shards.jsonl``, a line with the SHA-256 of each shard that is complete.
A shard that is missing or damaged is recorded again; the others stay.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mtkd_cli import atomic, store
from mtkd_cli.recipe import Store

SHARD = 1024
"""Samples in a shard. Batches end at its borders, so an array does not depend on where it was resumed."""

FP16_LIMIT = 65504.0


@dataclass(frozen=True)
class Layout:
    """How one row is kept: all ``outputs`` numbers, or the ``top_k`` largest and the mass of the rest."""

    outputs: int
    precision: str
    top_k: int | None = None

    @classmethod
    def of(cls, outputs: int, options: Store) -> Layout:
        """Return the layout that a recipe asks for."""
        top_k = options.top_k if options.top_k and options.top_k < outputs else None
        return cls(outputs, options.precision, top_k)

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type of one row."""
        number = np.float16 if self.precision == "fp16" else np.float32
        if self.top_k is None:
            return np.dtype((number, (self.outputs,)))
        return np.dtype(
            [("index", np.int32, (self.top_k,)), ("log_p", number, (self.top_k,)), ("rest", np.float32)]
        )

    def encode(self, output: Tensor) -> tuple[NDArray[Any], int]:
        """Return ``[B, C]`` outputs as rows, and how many numbers had to be clamped to fit."""
        if self.top_k is None:
            values = output.numpy()
            if self.precision == "fp32":
                return values, 0
            return np.clip(values, -FP16_LIMIT, FP16_LIMIT).astype(np.float16), int(
                (abs(values) > FP16_LIMIT).sum()
            )
        log_p, index = torch.log_softmax(output.double(), dim=1).topk(self.top_k, dim=1)
        rows = np.zeros(len(output), dtype=self.dtype)
        rows["index"], rows["log_p"] = index.numpy(), log_p.clamp(min=-FP16_LIMIT).numpy()
        rows["rest"] = (1 - log_p.exp().sum(dim=1)).clamp(min=0).numpy()
        return rows, 0

    def decode(self, rows: NDArray[Any]) -> Tensor:
        """Return rows as ``[B, C]`` float32 logits; top-k rows as log-probabilities, the rest spread out."""
        if self.top_k is None:
            return torch.from_numpy(np.asarray(rows).astype(np.float32))
        spread = torch.from_numpy(np.array(rows["rest"])) / (self.outputs - self.top_k)
        logits = spread.clamp(min=1e-30).log()[:, None].repeat(1, self.outputs)
        return logits.scatter(
            1,
            torch.from_numpy(rows["index"].astype(np.int64)),
            torch.from_numpy(rows["log_p"].astype(np.float32)),
        )


@dataclass(frozen=True)
class Recorded:
    """One array that is complete."""

    folder: Path
    layout: Layout
    rows: NDArray[Any]

    def __getitem__(self, indices: Any) -> Tensor:
        """Return the outputs of some samples, ``[B, C]`` float32."""
        return self.layout.decode(self.rows[indices])


def folder_of(key: Mapping[str, Any]) -> Path:
    """Return the folder that a key stands for."""
    return store.root() / "outputs" / store.digest(key)


def find(key: Mapping[str, Any], samples: int) -> Recorded | None:
    """Return the array of a key if every shard of it is there and is what was written."""
    folder = folder_of(key)
    found = opened(folder, samples)
    if found is None or missing(found, samples):
        return None
    with contextlib.suppress(OSError):
        os.utime(folder / "key.json")
    return found


def missing(recorded: Recorded, samples: int) -> list[int]:
    """Return the numbers of the shards that have to be recorded."""
    written = _ledger(recorded.folder)
    return [
        n for n in range(shards(samples)) if written.get(n) != _sha256(recorded.rows[rows_of(n, samples)])
    ]


def shards(samples: int) -> int:
    """Return how many shards so many samples make."""
    return -(-samples // SHARD)


def rows_of(shard: int, samples: int) -> slice:
    """Return the rows of a shard."""
    return slice(shard * SHARD, min((shard + 1) * SHARD, samples))


def create(key: Mapping[str, Any], layout: Layout, samples: int) -> Recorded:
    """Return the array of a key for writing, with the shards that it already has."""
    folder = folder_of(key)
    present = opened(folder, samples)
    if present and present.layout == layout:
        return Recorded(folder, layout, np.load(folder / "outputs.npy", mmap_mode="r+", allow_pickle=False))
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "shards.jsonl").unlink(missing_ok=True)
    atomic.write_json(folder / "key.json", {**key, "layout": vars(layout), "samples": samples})
    base, shape = layout.dtype.base, layout.dtype.shape
    rows = np.lib.format.open_memmap(folder / "outputs.npy", "w+", base, (samples, *shape))
    return Recorded(folder, layout, rows)


def write(recorded: Recorded, shard: int, rows: NDArray[Any], samples: int) -> None:
    """Write one shard, then the line that vouches for it."""
    place = rows_of(shard, samples)
    recorded.rows[place] = rows
    if isinstance(recorded.rows, np.memmap):
        recorded.rows.flush()
    line = json.dumps({"shard": shard, "sha256": _sha256(recorded.rows[place])}) + "\n"
    with (recorded.folder / "shards.jsonl").open("a", encoding="utf-8") as file:
        file.write(line)
        file.flush()
        os.fsync(file.fileno())


def opened(folder: Path, samples: int) -> Recorded | None:
    """Return the array in a folder, complete or not; None if it is not of so many samples."""
    try:
        known = json.loads((folder / "key.json").read_text())
        layout = Layout(**known["layout"])
        rows = np.load(folder / "outputs.npy", mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, KeyError, TypeError):
        return None
    fits = known["samples"] == samples == len(rows) and rows.dtype == layout.dtype.base
    return Recorded(folder, layout, rows) if fits else None


def _ledger(folder: Path) -> dict[int, str]:
    """Return the checksum of each shard by the last whole line about it."""
    written: dict[int, str] = {}
    try:
        lines = (folder / "shards.jsonl").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return written
    for line in lines:
        try:
            entry = json.loads(line)
            written[int(entry["shard"])] = str(entry["sha256"])
        except (ValueError, KeyError, TypeError):
            continue
    return written


def _sha256(rows: NDArray[Any]) -> str:
    return hashlib.sha256(np.ascontiguousarray(rows).view(np.uint8).data).hexdigest()
