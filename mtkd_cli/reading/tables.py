"""Read a table from a CSV file, or from Parquet with the extra ``tabular``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from mtkd_cli.errors import DataError, missing_path, nearest_or_all
from mtkd_cli.interfaces.table_format import TableFormat
from mtkd_cli.reading.cells import Cells
from mtkd_cli.reading.csv_dialect import find_dialect
from mtkd_cli.reading.csv_file import read_columns
from mtkd_cli.reading.parquet_file import ParquetColumns, read_parquet
from mtkd_cli.reading.text_file import is_utf8, marked_encoding

CSV_ENDINGS = (".csv", ".tsv")
ENDINGS = (*CSV_ENDINGS, ".parquet")

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
        format: format of the file. The decimal sign is found later, see `with_decimal_signs`.
        empty: number of rows without any text that were left out.
    """

    file: Path
    names: tuple[str, ...]
    columns: Mapping[str, Cells]
    lines: Sequence[int]
    format: TableFormat = field(default_factory=TableFormat)
    empty: int = 0

    def __len__(self) -> int:
        return len(self.lines)

    def where(self, row: int, column: str) -> str:
        """Return file, row and column of a cell, for messages."""
        return f"{self.file}, row {self.lines[row]}, column {column!r}"

    def column(self, name: str, key: str = "") -> Cells:
        """Return the cells under a heading.

        Args:
            name: the heading.
            key: recipe key that names the heading (without ``data.``), for messages.

        Raises:
            DataError: the table has no such heading, or its cells are not single values.
        """
        if name not in self.columns:
            where = f"{self.file} (data.{key})" if key else str(self.file)
            raise DataError(f"no column {name!r}", where, nearest_or_all(name, self.names))
        return self.columns[name]


def read_splits(
    path: Path, form: TableFormat | str | None = None, like: TableFormat | None = None
) -> dict[str, Frame]:
    """Return the tables of a path by split: ``train``, and from a folder also ``val`` and ``test``.

    Args:
        path: a file, or a folder with one file for each split (see `SPLITS`).
        form: format of the files; what it leaves open is found in each file. A string is a separator.
        like: see `read`.

    Raises:
        DataError: there is no file for ``train``, two files are the same split, or a file is not a table.
    """
    if not path.is_dir():
        return {"train": read(path, form, like)}
    found: dict[str, Path] = {}
    for file in sorted(path.iterdir()):
        split = next((name for name, stems in SPLITS.items() if file.stem in stems), None)
        if split is None or not is_table(file):
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
    return {split: read(file, form, like) for split, file in found.items()}


def is_table(path: Path) -> bool:
    """Whether the name of a file ends as that of a table."""
    return path.suffix.lower() in ENDINGS


def read(
    file: Path,
    form: TableFormat | str | None = None,
    like: TableFormat | None = None,
    allow_empty: bool = False,
) -> Frame:
    """Return the table in a file.

    Args:
        file: the file.
        form: its format; what it leaves open is found in the file. A string is a separator.
        like: format of similar files, used where the file does not decide.
        allow_empty: whether a table may have no rows.

    Raises:
        DataError: there is no such file, it is not a table, or it has duplicate headings or no rows.
    """
    if not file.is_file():
        raise missing_path(file, "data")
    if not is_table(file):
        raise DataError(
            f"{file.name} is not a table", str(file), f"use a file that ends in {' or '.join(ENDINGS)}"
        )
    form = TableFormat(separator=form) if isinstance(form, str) else form or TableFormat()
    frame = _parquet(file, form) if file.suffix.lower() == ".parquet" else _csv(file, form, like)
    duplicate = next((name for name in frame.names if frame.names.count(name) > 1), None)
    if duplicate is not None:
        what = f"duplicate column {duplicate!r}" if duplicate else "several columns have no heading"
        raise DataError(what, str(file), "rename one of the columns")
    if not allow_empty and not len(frame):
        raise DataError("the table has no rows", str(file), "write a row of headings and one row per sample")
    return frame


def _csv(file: Path, form: TableFormat, like: TableFormat | None) -> Frame:
    encoding = None if marked_encoding(file) else form.encoding
    if like and like.encoding and not encoding and not is_utf8(file):
        encoding = like.encoding
    dialect = find_dialect(file, form.separator, encoding, like.separator if like else None)
    found = read_columns(file, dialect, encoding)
    columns = dict(zip(found.names, found.columns, strict=True))
    form = replace(form, separator=dialect.separator, encoding=encoding)
    return Frame(file, found.names, columns, found.lines, form, found.empty)


def _parquet(file: Path, form: TableFormat) -> Frame:
    table, categorical = read_parquet(file)
    lines = range(1, len(table) + 1)
    return Frame(file, tuple(table.column_names), ParquetColumns(file, table, categorical), lines, form)
