"""A table of numbers and categories, from CSV or Parquet files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mtkd_cli.errors import DataError
from mtkd_cli.interfaces import Column, DataCache, Samples, SourceData
from mtkd_cli.reading.table_encoding import MISSING, encode_table, parse_number
from mtkd_cli.reading.tables import Frame, read, read_splits
from mtkd_data import unlabeled_ids
from mtkd_data.targets import names_and_targets

MAX_CATEGORIES = 1000


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
        separator: cell separator of CSV files.
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
        separator: str,
    ) -> None:
        self.task, self.path, self.target = task, Path(path), [str(name) for name in target]
        self.unlabeled, self.separator = Path(unlabeled) if unlabeled else None, separator
        self.categorical, self.ignore, self.id = categorical or [], ignore or [], id

    def load(self, cache: DataCache) -> SourceData:
        """Return the splits that have files; the recipe's fractions split off the others."""
        frames = read_splits(self.path, self.separator)
        names, targets = names_and_targets(self.task, frames, self.target)
        if self.unlabeled:
            frames[unlabeled_ids.PREFIX] = read(self.unlabeled, self.separator)
        training = [frames[split] for split in ("train", unlabeled_ids.PREFIX) if split in frames]
        columns = tuple(self._column(name, training) for name in self._inputs(frames["train"]))
        splits = {
            split: Samples(
                self._ids(split, frame), encode_table(frame, columns), self._targets(split, frame, targets)
            )
            for split, frame in frames.items()
        }
        train = splits["train"]
        if unlabeled_ids.PREFIX in splits:
            train = _concatenate(train, splits[unlabeled_ids.PREFIX])
        return SourceData(names, train, splits.get("val"), splits.get("test"), columns)

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

    def _column(self, name: str, frames: Sequence[Frame]) -> Column:
        """Return a column with the categories in its training rows.

        Raises:
            DataError: a text in a column of numbers, or too many categories.
        """
        cells = [cell for frame in frames for cell in frame.column(name, "path") if cell not in MISSING]
        numbers = sum(parse_number(cell) is not None for cell in cells)
        if name not in self.categorical and numbers == len(cells):
            return Column(name)
        if name not in self.categorical and numbers > len(cells) / 2:
            frame, row = next(
                (frame, row)
                for frame in frames
                for row, cell in enumerate(frame.columns[name])
                if cell not in MISSING and parse_number(cell) is None
            )
            raise DataError(
                f"{frame.columns[name][row]!r} is not a number, but most cells of the column are",
                where=frame.where(row, name),
                hint="fix or empty the cell, or add the column to data.categorical",
            )
        categories = tuple(sorted(set(cells)))
        if len(categories) > MAX_CATEGORIES:
            raise DataError(
                f"column {name!r} has {len(categories)} categories; at most {MAX_CATEGORIES} are allowed",
                where=str(frames[0].file),
                hint="add it to data.ignore, or set data.id if it contains sample ids",
            )
        return Column(name, categories)

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
        return ids

    def _targets(self, split: str, frame: Frame, targets: Mapping[str, NDArray[Any]]) -> NDArray[Any]:
        if split in targets:
            return targets[split]
        like = targets["train"]  # no labels: NaN for floats, -1 for class numbers
        return np.full((len(frame), *like.shape[1:]), np.nan if like.dtype.kind == "f" else -1, like.dtype)


def _concatenate(first: Samples, second: Samples) -> Samples:
    inputs = np.concatenate([first.inputs, second.inputs])
    return Samples(first.ids + second.ids, inputs, np.concatenate([first.targets, second.targets]))
