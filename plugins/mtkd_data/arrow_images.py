"""The images in Arrow and Parquet files, as the library `datasets` writes them."""

from __future__ import annotations

import importlib.util
import mmap
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mtkd_cli.errors import DataError, first_line
from mtkd_cli.reading.image_folders import file_inside
from mtkd_cli.safe_loading.decompression_limits import refuse_content
from mtkd_data.arrow_columns import ImageColumns, has_images
from mtkd_data.shard_index import ImageRow

ROWS = 64
"""Number of rows to hold in memory at once."""

SAVE_AGAIN = "save the data set again with all images in it, or with file names relative to its folder"
LENGTH_BYTES = 4
"""Size of the length in front of each value in a Parquet file."""


def read_schema(path: Path) -> Any:
    """Return the ``pyarrow.Schema`` of a file.

    Raises:
        DataError: pyarrow is not installed, or the file cannot be read.
    """
    with _opened(path) as (schema, _):
        has_images(schema)  # raises here on names that are not UTF-8
        if len(set(schema.names)) < len(schema):
            raise DataError("two columns have the same name", str(path), "rename one of them")
        return schema


def holds_images(path: Path) -> bool:
    """Whether a file is a Parquet file with a column of images; False if it cannot be read."""
    try:
        return path.suffix == ".parquet" and has_images(read_schema(path))
    except DataError:
        return False


def table_rows(path: Path, columns: list[str]) -> Iterator[dict[str, Any]]:
    """Yield the cells of each row by column.

    Raises:
        DataError: pyarrow is not installed, or the file cannot be read.
    """
    with _opened(path, columns) as (_, batches):
        for batch in batches:
            cells = batch.select(columns)
            cells.validate(full=True)  # offsets of a damaged Arrow file may point anywhere
            for start in range(0, cells.num_rows, ROWS):
                yield from cells.slice(start, ROWS).to_pylist()


def arrow_images(path: Path, columns: ImageColumns) -> Iterator[ImageRow]:
    """Yield the images of a file; a missing image is empty. Images stored as they are have a position.

    Raises:
        DataError: the file cannot be read, or a cell is not an image, a label or an id.
    """
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as stored:
        end, is_stored = 0, True
        for number, cells in enumerate(table_rows(path, columns.names)):
            content, name = _image_cell(cells[columns.image])
            if content is None and name:
                raise DataError(
                    f"the image {name} is not in the file, others are",
                    where=f"{path}: row {number}",
                    hint=SAVE_AGAIN,
                )
            content = content or b""
            position = _find(stored, content, end) if is_stored and content else None
            if content:
                is_stored = position is not None  # a compressed file is searched only once
            if position is not None:
                end = position + len(content)
            label = _label_text(cells, columns, f"{path}: row {number}")
            yield ImageRow(_row_name(cells, columns, number), label, content, position)


@dataclass(frozen=True)
class NamedImage:
    """A row with the name of an image file instead of its content.

    Attributes:
        path: the file.
        name: id of the row, see `_row_name`.
        label: see `_label_text`.
    """

    path: Path
    name: str
    label: str


def has_contents(files: Sequence[Path], columns: Mapping[Path, ImageColumns]) -> bool:
    """Whether the first image of the files is in its file, not only its name."""
    for file in files:
        for cells in table_rows(file, [columns[file].image]):
            content, name = _image_cell(cells[columns[file].image])
            if content is not None or name:
                return content is not None
    return True


def named_images(path: Path, columns: ImageColumns) -> list[NamedImage]:
    """Return the rows of a file whose images are other files.

    Raises:
        DataError: a row has no name of a file, or one that leads outside the folder of ``path``.
    """
    rows = []
    for number, cells in enumerate(table_rows(path, columns.names)):
        where = f"{path}: row {number}"
        content, name = _image_cell(cells[columns.image])
        if content is not None or not name:
            raise DataError("the row has no file name of an image, others have", where, SAVE_AGAIN)
        file = file_inside(path.parent, name, where, SAVE_AGAIN)
        rows.append(NamedImage(file, _row_name(cells, columns, number), _label_text(cells, columns, where)))
    return rows


def _image_cell(cell: Any) -> tuple[bytes | None, str]:
    """Return content and file name of an image; each may be missing."""
    if isinstance(cell, dict):
        return cell.get("bytes"), str(cell.get("path") or "")
    return cell, ""


def _label_text(cells: dict[str, Any], columns: ImageColumns, where: str) -> str:
    """Return the label of a row as text, by its name if the features name it; ``''`` if it is missing.

    Args:
        cells: cells by column.
        columns: the columns.
        where: file and row, for messages.

    Raises:
        DataError: the cell is not a number or a name.
    """
    cell = cells[columns.label] if columns.label else None
    if cell is None:
        return ""
    if isinstance(cell, int) and not isinstance(cell, bool):
        known = columns.classes and 0 <= cell < len(columns.classes)
        return columns.classes[cell] if columns.classes and known else str(cell)
    if isinstance(cell, str | bool):
        return str(cell)
    raise DataError(
        f"the label {str(cell)[:40]} is not a class number or name",
        where,
        "set data.label to the column with the class of each image",
    )


def _row_name(cells: dict[str, Any], columns: ImageColumns, number: int) -> str:
    """Return the id of a row as valid UTF-8, or ``row N`` without a column of ids."""
    if columns.id is None:
        return f"row {number}"
    return str(cells[columns.id]).encode("utf-8", "backslashreplace").decode()


def _find(stored: mmap.mmap, content: bytes, end: int) -> int | None:
    """Return the position of an image in a file, at or after the end of the last one; None: it has none."""
    for position in (end, end + LENGTH_BYTES):
        if stored[position : position + len(content)] == content:
            return position
    position = stored.find(content, end)
    return None if position < 0 else position


@contextmanager
def _opened(path: Path, columns: list[str] | None = None) -> Iterator[tuple[Any, Iterator[Any]]]:
    """Yield schema and record batches of a file.

    Raises:
        DataError: pyarrow is not installed, or the file cannot be read.
    """
    if importlib.util.find_spec("pyarrow") is None:
        raise DataError("Parquet and Arrow files need pyarrow", str(path), "pip install 'mtkd[tabular]'")
    import pyarrow
    import pyarrow.parquet

    try:
        if path.suffix == ".parquet":
            with pyarrow.parquet.ParquetFile(path, memory_map=True) as table:
                groups = range(table.metadata.num_row_groups)
                refuse_content(path, sum(table.metadata.row_group(n).total_byte_size for n in groups))
                yield table.schema_arrow, table.iter_batches(ROWS, columns=columns)
            return
        with pyarrow.memory_map(str(path)) as source:
            try:
                stream = pyarrow.ipc.open_stream(source)
            except pyarrow.ArrowInvalid:
                whole = pyarrow.ipc.open_file(source)
                batches = (whole.get_batch(number) for number in range(whole.num_record_batches))
                yield whole.schema, batches
                return
            yield stream.schema, stream
    except (OSError, ValueError, KeyError, pyarrow.ArrowException) as error:
        raise DataError(
            f"the file cannot be read: {first_line(error)}", str(path), "copy or write the file again"
        ) from error
