"""A table of numbers and categories, from CSV or parquet."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mtkd_cli.errors import DataError
from mtkd_cli.interfaces import Column, DataCache, Samples, SourceData
from mtkd_cli.reading.table_encoding import MISSING, encoded, number
from mtkd_cli.reading.tables import Frame, frames_in, read
from mtkd_data.targets import names_and_targets

MOST_CATEGORIES = 1000


class Table:
    """Rows of a file, or of ``train``, ``val`` and ``test`` files in a folder.

    Args:
        task: the recipe's, which decides what a target is.
        path: the file or folder.
        target: the columns that hold the labels.
        unlabelled: a file of rows without labels, which are trained on too; None: none.
        categorical: columns whose numbers are names.
        ignore: columns that are left out.
        id: the column that names the samples; None: they are named by file and row.
        separator: between the cells of CSV.
    """

    def __init__(
        self,
        task: str,
        path: str,
        target: list[str],
        unlabelled: str | None,
        categorical: list[str] | None,
        ignore: list[str] | None,
        id: str | None,  # noqa: A002
        separator: str,
    ) -> None:
        self.task, self.path, self.target = task, Path(path), [str(name) for name in target]
        self.unlabelled, self.separator = Path(unlabelled) if unlabelled else None, separator
        self.categorical, self.ignore, self.id = categorical or [], ignore or [], id

    def load(self, cache: DataCache) -> SourceData:
        """Return the splits that there are as files; the rest is split off by the recipe's shares."""
        frames = frames_in(self.path, self.separator)
        names, targets = names_and_targets(self.task, frames, self.target)
        if self.unlabelled:
            frames["unlabelled"] = read(self.unlabelled, self.separator)
        trained_on = [frames[split] for split in ("train", "unlabelled") if split in frames]
        columns = tuple(self._column(name, trained_on) for name in self._inputs(frames["train"]))
        splits = {
            split: Samples(
                self._ids(split, frame), encoded(frame, columns), self._targets(split, frame, targets)
            )
            for split, frame in frames.items()
        }
        train = splits["train"]
        if "unlabelled" in splits:
            train = _joined(train, splits["unlabelled"])
        return SourceData(names, train, splits.get("val"), splits.get("test"), columns)

    def _inputs(self, train: Frame) -> list[str]:
        """Return the headings of the input columns."""
        for key, given in (("categorical", self.categorical), ("ignore", self.ignore)):
            for name in given:
                train.column(name, key)
        apart = {*self.target, *self.ignore, self.id}
        names = [name for name in train.names if name not in apart]
        if not names:
            raise DataError("no input column is left", str(train.file), "take fewer into target and ignore")
        return names

    def _column(self, name: str, frames: Sequence[Frame]) -> Column:
        """Return a column with its categories, those of rows that are trained on."""
        cells = [cell for frame in frames for cell in frame.column(name, "path") if cell not in MISSING]
        numbers = sum(number(cell) is not None for cell in cells)
        if name not in self.categorical and numbers == len(cells):
            return Column(name)
        if name not in self.categorical and numbers > len(cells) / 2:
            frame, row = next(
                (frame, row)
                for frame in frames
                for row, cell in enumerate(frame.columns[name])
                if cell not in MISSING and number(cell) is None
            )
            raise DataError(
                f"{frame.columns[name][row]!r} is no number, most of its column are",
                where=frame.where(row, name),
                hint="mend the cell, empty it, or name the column in data.categorical",
            )
        found = tuple(sorted(set(cells)))
        if len(found) > MOST_CATEGORIES:
            raise DataError(
                f"the column {name!r} has {len(found)} different texts",
                where=str(frames[0].file),
                hint="name it in data.ignore, or in data.id if it names the samples",
            )
        return Column(name, found)

    def _ids(self, split: str, frame: Frame) -> tuple[str, ...]:
        if self.id is None:
            return tuple(f"{split}-{line}" for line in frame.lines)
        ids = tuple(frame.column(self.id, "id"))
        twice = next((name for name, count in Counter(ids).items() if count > 1), None)
        if twice is not None:
            row = ids.index(twice, ids.index(twice) + 1)
            raise DataError(
                f"the id {twice!r} stands twice", frame.where(row, self.id), "rename or remove one"
            )
        return ids

    def _targets(self, split: str, frame: Frame, targets: Mapping[str, NDArray[Any]]) -> NDArray[Any]:
        if split in targets:
            return targets[split]
        like = targets["train"]
        return np.full((len(frame), *like.shape[1:]), np.nan if like.dtype.kind == "f" else -1, like.dtype)


def _joined(first: Samples, second: Samples) -> Samples:
    inputs = np.concatenate([first.inputs, second.inputs])
    return Samples(first.ids + second.ids, inputs, np.concatenate([first.targets, second.targets]))
