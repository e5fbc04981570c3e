"""Predict images, folders and tables; unreadable files are reported and skipped."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mtkd_cli.errors import DataError
from mtkd_cli.inference.student import LoadedStudent
from mtkd_cli.interfaces import Prediction, TableFormat
from mtkd_cli.reading import images, tables
from mtkd_cli.reading.decimal_sign import with_decimal_signs
from mtkd_cli.reading.image_folders import list_images
from mtkd_cli.reading.table_encoding import encode_table

WORKERS = 4


@dataclass(frozen=True)
class Answered:
    """The prediction for one image, or for one row of a table.

    Attributes:
        file: path of the file; for a row of a table with its line number: ``a.csv:7``.
        prediction: the prediction; None if the file cannot be read.
        problem: reason why the file cannot be read.
        size: width and height of the upright image, in pixels; (0, 0) for a row. Masks and boxes cover the
            whole image.
    """

    file: str
    prediction: Prediction | None
    problem: str = ""
    size: tuple[int, int] = (0, 0)


@dataclass(frozen=True)
class _Item:
    name: str
    inputs: NDArray[Any] | None
    problem: str = ""
    size: tuple[int, int] = (0, 0)


def files_of(student: LoadedStudent, paths: Sequence[Path]) -> list[Path]:
    """Return the files of the given paths; a folder is replaced by its images, or its tables.

    Missing files stay in the list, so that they are reported as unreadable.
    """
    found: list[Path] = []
    for path in paths:
        if not path.is_dir():
            found.append(path)
        elif student.takes == "table":
            found += sorted(file for file in path.iterdir() if tables.is_table(file))
        else:
            found += list_images(path)
    return found


def predict(
    student: LoadedStudent, files: Sequence[Path], batch_size: int, advance: Callable[[int], None]
) -> Iterator[Answered]:
    """Yield the student's predictions in the order of the files.

    Args:
        student: the student.
        files: files from `files_of`.
        batch_size: number of samples per batch.
        advance: function that receives the number of files read since its last call.
    """
    with images.refuse_bombs(), ThreadPoolExecutor(WORKERS) as pool:
        for items in _batches(_read_items(student, files, pool, batch_size, advance), batch_size):
            yield from _predict_batch(student, items)


def _read_items(
    student: LoadedStudent,
    files: Sequence[Path],
    pool: ThreadPoolExecutor,
    batch_size: int,
    advance: Callable[[int], None],
) -> Iterator[_Item]:
    if student.takes == "table":
        for file in files:
            yield from _read_rows(student, file)
            advance(1)
        return
    for start in range(0, len(files), batch_size):  # limits the decoded images in memory
        part = files[start : start + batch_size]
        yield from pool.map(lambda file: _read_image(student, file), part)
        advance(len(part))


def _read_image(student: LoadedStudent, file: Path) -> _Item:
    try:
        pixels = student.read(file)
        return _Item(str(file), pixels, size=images.upright_size(file))
    except DataError as error:
        return _Item(str(file), None, error.what)


def _read_rows(student: LoadedStudent, file: Path) -> Iterator[_Item]:
    try:
        table = _read_table(student, file)
        rows = encode_table(table, student.model.input.columns)
    except DataError as error:
        yield _Item(str(file), None, f"{error.what} ({error.where})")
        return
    for line, row in zip(table.lines, rows, strict=True):
        yield _Item(f"{file}:{line}", row)


def _read_table(student: LoadedStudent, file: Path) -> tables.Frame:
    """Read a table like those that the student was trained on, where the file does not say more."""
    like = student.table_format
    table = tables.read(file, TableFormat(missing=like.missing) if like else None, like)
    numbers = [column.name for column in student.model.input.columns if not column.categories]
    return with_decimal_signs({"": table}, numbers, like)[""]


def _predict_batch(student: LoadedStudent, items: Sequence[_Item]) -> Iterator[Answered]:
    read = [item for item in items if item.inputs is not None]
    answers = _predictions(student, read) if read else iter(())
    for item in items:
        prediction = None if item.inputs is None else next(answers)
        yield Answered(item.name, prediction, item.problem, item.size)


def _predictions(student: LoadedStudent, items: Sequence[_Item]) -> Iterator[Prediction]:
    """Yield the predictions for readable items; masks and boxes on the original images."""
    task, classes = student.task, student.classes
    output = student.answer(np.stack([item.inputs for item in items if item.inputs is not None]))
    if not task.spatial:
        yield from task.predictions(output, classes)
        return
    for index, item in enumerate(items):
        on_frame = task.to_frame(output[index : index + 1], student.placement(item.size))
        yield from task.predictions(on_frame, classes)


def _batches(items: Iterable[_Item], size: int) -> Iterator[list[_Item]]:
    iterator = iter(items)
    while batch := list(itertools.islice(iterator, size)):
        yield batch
