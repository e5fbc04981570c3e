"""Read a table from a CSV file, or from parquet with the extra ``tabular``. Every cell is a string."""

from __future__ import annotations

import csv
import importlib.util
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mtkd_cli.errors import DataError, first_line, missing_path, nearest_or_all
from mtkd_cli.safe_loading.decompression_limits import refuse_content

ENDINGS = (".csv", ".parquet")
CELL_BYTES = 8
"""Minimum size of a parquet cell in memory, in bytes."""

SPLITS = {"train": ("train",), "val": ("val", "valid", "validation"), "test": ("test",)}
"""File names of each split, without suffix."""


@dataclass(frozen=True)
class Frame:
    """A table of N rows.

    Attributes:
        file: file of the table.
        names: headings.
        columns: N cells of each heading.
        lines: line of each row in the file, for messages.
    """

    file: Path
    names: tuple[str, ...]
    columns: dict[str, list[str]]
    lines: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.lines)

    def where(self, row: int, column: str) -> str:
        """Return file, row and column of a cell, for messages."""
        return f"{self.file}, row {self.lines[row]}, column {column!r}"

    def column(self, name: str, key: str = "") -> list[str]:
        """Return the cells under a heading.

        Args:
            name: the heading.
            key: recipe key that names the heading (without ``data.``), for messages.

        Raises:
            DataError: the table has no such heading.
        """
        if name not in self.columns:
            where = f"{self.file} (data.{key})" if key else str(self.file)
            raise DataError(f"no column {name!r}", where, nearest_or_all(name, self.names))
        return self.columns[name]


def read_splits(path: Path, separator: str) -> dict[str, Frame]:
    """Return the tables of a path by split: ``train``, and from a folder also ``val`` and ``test``.

    Args:
        path: a file, or a folder with one file for each split (see `SPLITS`).
        separator: separator of the cells in CSV files.

    Raises:
        DataError: there is no file for ``train``, two files are the same split, or a file is not a table.
    """
    if not path.is_dir():
        return {"train": read(path, separator)}
    found: dict[str, Path] = {}
    for file in sorted(path.iterdir()):
        split = next((name for name, stems in SPLITS.items() if file.stem in stems), None)
        if split is None or file.suffix not in ENDINGS:
            continue
        if split in found:
            raise DataError(
                f"{file.name} and {found[split].name} are both the {split} split", str(path), "remove one"
            )
        found[split] = file
    if "train" not in found:
        raise DataError(
            f"no train.csv in {path}",
            "data.path",
            "a folder needs train.csv; val.csv and test.csv are optional",
        )
    return {split: read(file, separator) for split, file in found.items()}


def read(file: Path, separator: str = ",") -> Frame:
    """Return the table in a file.

    Raises:
        DataError: there is no such file, it is not a table, or it has duplicate headings or no rows.
    """
    if not file.is_file():
        raise missing_path(file, "data")
    if file.suffix not in ENDINGS:
        raise DataError(
            f"{file.name} is not a table", str(file), f"use a file that ends in {' or '.join(ENDINGS)}"
        )
    frame = _read_parquet(file) if file.suffix == ".parquet" else _csv(file, separator)
    duplicate = next((name for name in frame.names if frame.names.count(name) > 1), None)
    if duplicate is not None:
        raise DataError(f"duplicate column {duplicate!r}", str(file), "rename one of the columns")
    if not len(frame):
        raise DataError("the table has no rows", str(file), "write a row of headings and one row per sample")
    return frame


def _csv(file: Path, separator: str) -> Frame:
    (_, names), *rows = csv_rows(file, separator)
    columns = {name: [row[index] for _, row in rows] for index, name in enumerate(names)}
    return Frame(file, tuple(names), columns, tuple(line for line, _ in rows))


def csv_rows(file: Path, separator: str) -> Iterator[tuple[int, list[str]]]:
    """Yield (line number, cells) of the headings, then of each row.

    Raises:
        DataError: the file cannot be read, or a row has another number of cells than the headings.
    """
    try:
        with file.open(newline="", encoding="utf-8-sig") as opened:
            reader = csv.reader(opened, delimiter=separator, strict=True)
            names = [name.strip() for name in next(reader, [])]
            yield reader.line_num, names
            for row in reader:
                if not row:
                    continue
                if len(row) != len(names):
                    raise DataError(
                        f"the row has {len(row)} cells for {len(names)} headings",
                        where=f"{file}, row {reader.line_num}",
                        hint=f"fix the row; cells are separated by {separator!r}",
                    )
                yield reader.line_num, [cell.strip() for cell in row]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"the table cannot be read: {error}", str(file), "save it as UTF-8 CSV") from error


def parquet(file: Path) -> Any:
    """Return the ``pyarrow.Table`` in a file.

    Raises:
        DataError: pyarrow is not installed, or the file cannot be read.
    """
    if importlib.util.find_spec("pyarrow") is None:
        raise DataError("parquet needs pyarrow", str(file), "pip install 'mtkd[tabular]'")
    import pyarrow
    import pyarrow.parquet

    try:
        metadata = pyarrow.parquet.read_metadata(file)
        refuse_content(file, metadata.num_rows * metadata.num_columns * CELL_BYTES)
        return pyarrow.parquet.read_table(file)
    except (OSError, pyarrow.ArrowException) as error:
        raise DataError(
            f"the table cannot be read: {first_line(error)}", str(file), "write the file again"
        ) from error


def _read_parquet(file: Path) -> Frame:
    table = parquet(file)
    columns = {name: [_text(cell) for cell in table[name].to_pylist()] for name in table.column_names}
    return Frame(file, tuple(table.column_names), columns, tuple(range(1, len(table) + 1)))


def _text(cell: Any) -> str:
    if cell is None:
        return ""
    return cell.decode("utf-8", "backslashreplace") if isinstance(cell, bytes) else str(cell).strip()
