"""Images named in a table, with values, classes or several yes-or-no labels."""

from __future__ import annotations

from pathlib import Path

from mtkd_cli.errors import DataError, UsageError
from mtkd_cli.interfaces import DataCache, Samples, SourceData
from mtkd_cli.reading.image_folders import file_inside
from mtkd_cli.reading.tables import Frame, frames_in
from mtkd_data.image_cache import kept
from mtkd_data.targets import names_and_targets

NAMES = "file names start from the table's folder, or from data.images, and must stay inside it"


class ImageTable:
    """A table with a column of file names, and columns of labels; empty cells have none.

    Args:
        task: the recipe's, which decides what a label is.
        path: the table, or a folder of ``train``, ``val`` and ``test`` tables.
        target: the columns that hold the labels; None: all besides the files.
        file: the column of file names; None: the first.
        images: the folder that file names start from; None: the table's own.
        size: side, in pixels.
        channels: 3 RGB, 1 grey.
        on_bad_sample: ``error``, or ``skip`` to leave out images that cannot be read.
        workers: threads that decode; no effect on the result.
        separator: between the cells of CSV.
    """

    def __init__(
        self,
        task: str,
        path: str,
        target: list[str] | None,
        file: str | None,
        images: str | None,
        size: int,
        channels: int,
        on_bad_sample: str,
        workers: int,
        separator: str,
    ) -> None:
        if channels not in (1, 3):
            raise UsageError(f"channels is {channels}", where="data.channels", hint="3 RGB, or 1 grey")
        self.task, self.path, self.target, self.file = task, Path(path), target, file
        self.images, self.separator = Path(images) if images else None, separator
        self.size, self.channels, self.workers = size, channels, workers
        self.skip = on_bad_sample == "skip"

    def load(self, cache: DataCache) -> SourceData:
        """Return the splits that there are as files; the rest is split off by the recipe's shares."""
        frames = frames_in(self.path, self.separator)
        heading = self.file or frames["train"].names[0]
        frames["train"].column(heading, "file")
        chosen = [str(n) for n in self.target or [n for n in frames["train"].names if n != heading]]
        names, targets = names_and_targets(self.task, frames, chosen)
        splits = {}
        for split, frame in frames.items():
            files = self._files(frame, heading)
            images, good = kept(cache, files, self.size, self.channels, self.workers, self.skip)
            cells = frame.columns[heading]
            prefix = f"{split}/" if len(frames) > 1 else ""
            splits[split] = Samples(tuple(prefix + cells[row] for row in good), images, targets[split][good])
        return SourceData(names, splits["train"], splits.get("val"), splits.get("test"))

    def _files(self, frame: Frame, heading: str) -> list[Path]:
        """Return the image of each row.

        Raises:
            DataError: one that is not there, is outside the folder, or stands twice; its row is named.
        """
        folder = self.images or frame.file.parent
        seen: set[str] = set()
        files = []
        for row, cell in enumerate(frame.column(heading, "file")):
            where = frame.where(row, heading)
            if not cell:
                raise DataError("no file is named", where, NAMES)
            file = file_inside(folder, cell, where, NAMES)
            if not file.is_file():
                raise DataError(f"no file {file}", where, NAMES)
            if cell in seen:
                raise DataError(f"{cell} stands twice", where, "remove one row")
            seen.add(cell)
            files.append(file)
        return files
