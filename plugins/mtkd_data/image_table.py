"""Images listed in a table, with values, classes or several 0/1 labels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mtkd_cli.errors import DataError
from mtkd_cli.interfaces import DataCache, SourceData
from mtkd_cli.reading.decimal_sign import with_decimal_signs
from mtkd_cli.reading.encoded_images import ImageFiles
from mtkd_cli.reading.image_folders import file_inside
from mtkd_cli.reading.tables import Frame, read_splits
from mtkd_data.decode_options import decode_options
from mtkd_data.image_cache import read_images
from mtkd_data.table_format import describe, table_format
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
        separator: cell separator of CSV files; None finds it.
        decimal: decimal sign; None finds it.
        thousands: separator of thousands; None: any mark that is not the decimal sign.
        missing: words that mean a missing label; None: `mtkd_cli.interfaces.table_format.MISSING`.
        encoding: encoding of CSV files without a byte order mark; None: UTF-8.
        decoding: size, channels, fit, on_bad_sample, workers and cache, see `decode_options`.
    """

    def __init__(
        self,
        task: str,
        path: str,
        target: list[str] | None,
        file: str | None,
        images: str | None,
        separator: str | None = None,
        decimal: str | None = None,
        thousands: str | None = None,
        missing: list[Any] | None = None,
        encoding: str | None = None,
        **decoding: Any,
    ) -> None:
        self.task, self.path, self.target, self.file = task, Path(path), target, file
        self.images = Path(images) if images else None
        self.format = table_format(separator, decimal, thousands, missing, encoding)
        self.options = decode_options(**decoding)

    def load(self, cache: DataCache) -> SourceData:
        """Return the splits that have files; the recipe's fractions split off the others."""
        frames = read_splits(self.path, self.format)
        heading = self.file or frames["train"].names[0]
        frames["train"].column(heading, "file")
        label_columns = [str(n) for n in self.target or [n for n in frames["train"].names if n != heading]]
        frames = with_decimal_signs(frames, [] if self.task == "classification" else label_columns)
        names, targets = names_and_targets(self.task, frames, label_columns)
        splits = {}
        for split, frame in frames.items():
            files = self._files(frame, heading)
            images = read_images(cache, ImageFiles(files, cache), self.options)
            cells = list(frame.column(heading))
            prefix = f"{split}/" if len(frames) > 1 else ""
            splits[split] = images.to_samples(
                [prefix + cells[row] for row in images.rows],
                targets[split][images.rows],
                [files[row] for row in images.rows],
            )
        return SourceData(
            names,
            splits["train"],
            splits.get("val"),
            splits.get("test"),
            fit=self.options.fit,
            notes=describe(frames, (), label_columns),
        )

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
