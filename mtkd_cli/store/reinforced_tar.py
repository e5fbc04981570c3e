"""Shards of a reinforced data set as tar archives in WebDataset's format: files with one key are one row."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mtkd_cli.store.reinforced_rows import Block, ShardWriter


class TarFormat:
    """Plain tar archives, with a JSON file and one ``.npy`` file per teacher and field for each row."""

    ending = ".tar"

    def open(self, path: Path) -> ShardWriter:
        """Return the writer of a new shard."""
        return _TarWriter(path)


class _TarWriter:
    def __init__(self, path: Path) -> None:
        self._tar = tarfile.open(path, "w", format=tarfile.PAX_FORMAT)  # noqa: SIM115

    def write(self, block: Block) -> None:
        """Add the rows of a block."""
        for row, sample in enumerate(block.ids):
            key = f"{block.split}-{block.view}-{block.first + row:09d}"
            facts: dict[str, Any] = {
                "id": sample,
                "split": block.split,
                "view": block.view,
                "label": block.label(row),
                "label_name": block.label_name(row),
            }
            if block.affine is not None:
                facts["affine"] = block.affine[row].tolist()
            if block.partners is not None:
                facts |= {"partner": block.partners[0][row], "own_share": float(block.partners[1][row])}
            self._add(f"{key}.json", json.dumps(facts).encode())
            for prefix, fields in block.outputs.items():
                for name, values in fields.items():
                    self._add(f"{key}.{prefix}_{name}.npy", _npy(values[row]))

    def _add(self, name: str, content: bytes) -> None:
        entry = tarfile.TarInfo(name)
        entry.size = len(content)
        self._tar.addfile(entry, io.BytesIO(content))

    def close(self) -> None:
        """Complete the file."""
        self._tar.close()


def _npy(values: NDArray[Any]) -> bytes:
    content = io.BytesIO()
    np.save(content, np.asarray(values), allow_pickle=False)
    return content.getvalue()
