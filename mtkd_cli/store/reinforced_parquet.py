"""Shards of a reinforced data set in Parquet: one typed row for each sample and view."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mtkd_cli.store.reinforced_rows import Block, ShardWriter


class ParquetFormat:
    """Parquet files, written with pyarrow."""

    ending = ".parquet"

    def open(self, path: Path) -> ShardWriter:
        """Return the writer of a new shard."""
        return _ParquetWriter(path)


class _ParquetWriter:
    def __init__(self, path: Path) -> None:
        self.path = path
        self._writer: Any = None

    def write(self, block: Block) -> None:
        """Add the rows of a block, as a row group."""
        import pyarrow
        from pyarrow import parquet

        count = len(block.ids)
        columns: dict[str, Any] = {
            "id": pyarrow.array(block.ids, pyarrow.string()),
            "split": pyarrow.array([block.split] * count, pyarrow.string()),
            "view": pyarrow.array([block.view] * count, pyarrow.int32()),
            "label": _labels(block),
            "label_name": pyarrow.array([block.label_name(row) for row in range(count)], pyarrow.string()),
        }
        affine = None if block.affine is None else block.affine.reshape(count, 6)
        columns["affine"] = (
            pyarrow.nulls(count, pyarrow.list_(pyarrow.float32(), 6)) if affine is None else _array(affine)
        )
        partners, share = block.partners or ((None,) * count, None)
        columns["partner"] = pyarrow.array(partners, pyarrow.string())
        columns["own_share"] = pyarrow.nulls(count, pyarrow.float32()) if share is None else _array(share)
        for prefix, fields in block.outputs.items():
            columns |= {f"{prefix}_{name}": _array(values) for name, values in fields.items()}
        table = pyarrow.table(columns)
        if self._writer is None:
            self._writer = parquet.ParquetWriter(
                self.path, table.schema, use_dictionary=["split", "label_name"]
            )
        self._writer.write_table(table)

    def close(self) -> None:
        """Complete the file."""
        if self._writer is not None:
            self._writer.close()


def _labels(block: Block) -> Any:
    """Return labels as integers, or as lists of numbers in C order; null: not labeled."""
    import pyarrow

    number = pyarrow.float64() if block.labels.dtype.kind == "f" else pyarrow.int64()
    if block.labels.ndim == 1:
        return pyarrow.array(block.labels, number, mask=~block.is_labeled)
    rows = [
        label.ravel().tolist() if has else None
        for label, has in zip(block.labels, block.is_labeled, strict=True)
    ]
    return pyarrow.array(rows, pyarrow.list_(number))


def _array(values: NDArray[Any]) -> Any:
    """Return ``[B]`` as numbers, and ``[B, *]`` as lists of one length, in C order."""
    import pyarrow

    flat = pyarrow.array(np.ascontiguousarray(values).reshape(-1))
    if values.ndim == 1:
        return flat
    width = int(np.prod(values.shape[1:]))
    return pyarrow.FixedSizeListArray.from_arrays(flat, width)
