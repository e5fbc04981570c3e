"""A table of numbers and categories, from CSV or Parquet files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mtkd_cli.errors import DataError
from mtkd_cli.interfaces import DataCache, Samples, SourceData, TableInput
from mtkd_cli.reading.decimal_sign import with_decimal_signs
from mtkd_cli.reading.table_encoding import encode_table
from mtkd_cli.reading.tables import Frame, read, read_splits
from mtkd_data import unlabeled_ids
from mtkd_data.column_kinds import column_kind
from mtkd_data.table_format import describe, table_format
from mtkd_data.targets import names_and_targets


class Table:
    """Rows of a file, or of ``train``, ``val`` and ``test`` files in a folder.

    Args:
        task: name of the task, which determines the kind of labels.
        path: file, or folder with ``train``, ``val`` and ``test`` files.
        target: label columns.
        unlabeled: file of unlabeled rows, used for training too, or None.
        categorical: columns of numbers to treat as categories.
        ignore: columns to leave out.
        id: column of sample ids; None uses the file and the row number.
        separator: cell separator of CSV files; None finds it.
        decimal: decimal sign; None finds it.
        thousands: separator of thousands; None: any mark that is not the decimal sign.
        missing: words that mean a missing value; None: `mtkd_cli.interfaces.table_format.MISSING`.
        encoding: encoding of CSV files without a byte order mark; None: UTF-8.
        like: tables of a student to evaluate on these; None: the columns are found in the training rows.
    """

    def __init__(
        self,
        task: str,
        path: str,
        target: list[str],
        unlabeled: str | None,
        categorical: list[str] | None,
        ignore: list[str] | None,
        id: str | None,  # noqa: A002
        separator: str | None = None,
        decimal: str | None = None,
        thousands: str | None = None,
        missing: list[Any] | None = None,
        encoding: str | None = None,
        like: TableInput | None = None,
    ) -> None:
        self.task, self.path, self.target = task, Path(path), [str(name) for name in target]
        self.unlabeled, self.like = Path(unlabeled) if unlabeled else None, like
        self.categorical, self.ignore, self.id = categorical or [], ignore or [], id
        self.format = table_format(separator, decimal, thousands, missing, encoding)

    def load(self, cache: DataCache) -> SourceData:
        """Return the splits that have files; the recipe's fractions split off the others."""
        like = self.like.format if self.like else None
        frames = read_splits(self.path, self.format, like)
        labeled = tuple(frames)
        if self.unlabeled:
            frames[unlabeled_ids.PREFIX] = read(self.unlabeled, self.format, like)
        inputs = [column.name for column in self.like.columns] if self.like else self._inputs(frames["train"])
        numbers = [name for name in inputs if name not in self.categorical]
        frames = with_decimal_signs(frames, numbers + self._number_targets, like)
        names, targets = names_and_targets(
            self.task, {split: frames[split] for split in labeled}, self.target
        )
        training = [frames[split] for split in ("train", unlabeled_ids.PREFIX) if split in frames]
        columns = (
            self.like.columns
            if self.like
            else tuple(column_kind(name, training, name in self.categorical) for name in inputs)
        )
        splits = {
            split: Samples(
                self._ids(split, frame), encode_table(frame, columns), self._targets(split, frame, targets)
            )
            for split, frame in frames.items()
        }
        train = splits["train"]
        if unlabeled_ids.PREFIX in splits:
            train = _concatenate(train, splits[unlabeled_ids.PREFIX])
        form, notes = frames["train"].format, describe(frames, columns, self.target)
        return SourceData(
            names, train, splits.get("val"), splits.get("test"), columns, table=form, notes=notes
        )

    def _inputs(self, train: Frame) -> list[str]:
        """Return the names of the input columns."""
        for key, columns in (("categorical", self.categorical), ("ignore", self.ignore)):
            for name in columns:
                train.column(name, key)
        excluded = {*self.target, *self.ignore, self.id}
        names = [name for name in train.names if name not in excluded]
        if not names:
            raise DataError(
                "no input columns left", str(train.file), "list fewer columns in target and ignore"
            )
        return names

    @property
    def _number_targets(self) -> list[str]:
        return [] if self.task == "classification" else self.target

    def _ids(self, split: str, frame: Frame) -> tuple[str, ...]:
        if self.id is None:
            return tuple(f"{split}-{line}" for line in frame.lines)
        ids = tuple(frame.column(self.id, "id"))
        duplicate = next((name for name, count in Counter(ids).items() if count > 1), None)
        if duplicate is not None:
            row = ids.index(duplicate, ids.index(duplicate) + 1)
            raise DataError(
                f"duplicate sample id {duplicate!r}", frame.where(row, self.id), "rename or remove one"
            )
        if "" in ids:
            raise DataError("no sample id", frame.where(ids.index(""), self.id), "give each row its own id")
        return ids

    def _targets(self, split: str, frame: Frame, targets: Mapping[str, NDArray[Any]]) -> NDArray[Any]:
        if split in targets:
            return targets[split]
        like = targets["train"]  # no labels: NaN for floats, -1 for class numbers
        return np.full((len(frame), *like.shape[1:]), np.nan if like.dtype.kind == "f" else -1, like.dtype)


def _concatenate(first: Samples, second: Samples) -> Samples:
    inputs = np.concatenate([first.inputs, second.inputs])
    return Samples((*first.ids, *second.ids), inputs, np.concatenate([first.targets, second.targets]))
