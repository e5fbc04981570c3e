"""Images listed in a table, with values, classes or several 0/1 labels."""

from __future__ import annotations

from pathlib import Path

from mtkd_cli.errors import DataError, UsageError
from mtkd_cli.interfaces import DataCache, Samples, SourceData
from mtkd_cli.reading.image_folders import file_inside
from mtkd_cli.reading.tables import Frame, read_splits
from mtkd_data.image_cache import cached_images
from mtkd_data.targets import names_and_targets

FILE_NAME_HINT = "file names must be relative to the table's folder or data.images, and inside it"


class ImageTable:
    """A table with a column of file names and columns of labels; an empty cell is a missing label.

    Args:
        task: name of the task, which determines the kind of labels.
        path: table, or folder with ``train``, ``val`` and ``test`` tables.
        target: label columns; None: all except the file column.
        file: column of file names; None: the first column.
        images: folder that file names are relative to; None: the table's folder.
        size: side of the images, in pixels.
        channels: 3 for RGB, 1 for gray.
        on_bad_sample: ``error``, or ``skip`` to skip unreadable images.
        workers: number of decoding threads; does not change the result.
        separator: cell separator of CSV files.
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
            raise UsageError(
                f"invalid number of channels {channels}",
                where="data.channels",
                hint="use 3 for RGB or 1 for gray",
            )
        self.task, self.path, self.target, self.file = task, Path(path), target, file
        self.images, self.separator = Path(images) if images else None, separator
        self.size, self.channels, self.workers = size, channels, workers
        self.skip = on_bad_sample == "skip"

    def load(self, cache: DataCache) -> SourceData:
        """Return the splits that have files; the recipe's fractions split off the others."""
        frames = read_splits(self.path, self.separator)
        heading = self.file or frames["train"].names[0]
        frames["train"].column(heading, "file")
        label_columns = [str(n) for n in self.target or [n for n in frames["train"].names if n != heading]]
        names, targets = names_and_targets(self.task, frames, label_columns)
        splits = {}
        for split, frame in frames.items():
            files = self._files(frame, heading)
            images, readable = cached_images(cache, files, self.size, self.channels, self.workers, self.skip)
            cells = frame.columns[heading]
            prefix = f"{split}/" if len(frames) > 1 else ""
            splits[split] = Samples(
                tuple(prefix + cells[row] for row in readable),
                images,
                targets[split][readable],
                files=tuple(files[row] for row in readable),
            )
        return SourceData(names, splits["train"], splits.get("val"), splits.get("test"))

    def _files(self, frame: Frame, heading: str) -> list[Path]:
        """Return the image file of each row.

        Raises:
            DataError: a file name is missing, a duplicate, or outside the folder, or the file does not exist.
        """
        folder = self.images or frame.file.parent
        seen: set[str] = set()
        files = []
        for row, cell in enumerate(frame.column(heading, "file")):
            where = frame.where(row, heading)
            if not cell:
                raise DataError("no file name", where, FILE_NAME_HINT)
            file = file_inside(folder, cell, where, FILE_NAME_HINT)
            if not file.is_file():
                raise DataError(f"no file {file}", where, FILE_NAME_HINT)
            if cell in seen:
                raise DataError(f"duplicate file name {cell}", where, "remove one of the rows")
            seen.add(cell)
            files.append(file)
        return files
