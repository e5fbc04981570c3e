"""Recognize tables of samples and tables of images, for ``mtkd init --data``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mtkd_cli.errors import DataError
from mtkd_cli.interfaces import FILL_IN, DataGuess
from mtkd_cli.reading.decimal_sign import with_decimal_signs
from mtkd_cli.reading.image_folders import list_folders, list_images
from mtkd_cli.reading.images import ENDINGS as IMAGES
from mtkd_cli.reading.numbers import parse_numbers
from mtkd_cli.reading.tables import ENDINGS, SPLITS, Frame, is_table, read
from mtkd_data.arrow_images import holds_images
from mtkd_data.column_kinds import MAX_CATEGORIES
from mtkd_data.guess_images import decoding
from mtkd_data.guess_target import Target, guess_target

SAMPLED = 20
IDS = ("id", "sample_id", "uuid")


def guess_table(path: Path, task: str) -> list[DataGuess]:
    """Return the tables of numbers and categories: a file, or those in a folder without images."""
    if path.is_dir() and list_images(path):
        return []
    tables = [(source, frame) for source, frame in _tables(path) if not _file_column(frame)]
    return [_table(source, frame, task) for source, frame in tables]


def guess_image_table(path: Path, task: str) -> list[DataGuess]:
    """Return the tables with a column of image files."""
    tables = [(source, frame, _file_column(frame)) for source, frame in _tables(path)]
    return [_image_table(source, frame, column, task) for source, frame, column in tables if column]


def _tables(path: Path) -> Iterator[tuple[Path, Frame]]:
    """Yield what to write as ``path``, and the table with the training rows."""
    files = sorted(path.iterdir()) if path.is_dir() else [path]
    files = [file for file in files if is_table(file) and file.is_file()]
    train = [file for file in files if file.stem in SPLITS["train"]]
    for file in train if path.is_dir() and train else files:
        if holds_images(file):
            continue
        yield path if file in train and path.is_dir() else file, read(file)


def _table(source: Path, frame: Frame, task: str) -> DataGuess:
    frame, options, why = _with_decimal_sign(frame)
    target = guess_target(frame, frame.names, task)
    options, why = _common(source, target, options, why)
    keys = [name for name in frame.names if name.lower() in IDS and _all_differ(frame, name)]
    if len(keys) == 1:
        options["id"], why["id"] = keys[0], "by the column's name; its cells are all different"
    texts = [
        name for name in frame.names if name not in (*keys, *target.columns) and _too_many_texts(frame, name)
    ]
    if texts:
        options["ignore"], why["ignore"] = texts, "texts that are different in almost every row"
    inputs = [name for name in frame.names if name not in (*keys, *texts, *target.columns)]
    checks = f"inputs are the columns {', '.join(inputs)}: remove those that would give away the target"
    return _guess(source, frame, target, options, why, (checks,) if inputs else ())


def _image_table(source: Path, frame: Frame, column: str, task: str) -> DataGuess:
    frame, options, why = _with_decimal_sign(frame)
    target = guess_target(frame, [name for name in frame.names if name != column], task, several=True)
    options, why = _common(source, target, options, why)
    options["file"], why["file"] = column, "its cells are names of image files"
    folder = _image_folder(frame, column)
    if folder is None:
        options["images"], why["images"] = FILL_IN, "folder of the images; those of the table were not found"
    elif folder != frame.file.parent:
        options["images"], why["images"] = str(folder), "the images are there"
    if folder is not None:
        shape, reasons = decoding([folder / cell for cell in frame.columns[column] if cell])
        options, why = {**options, **shape}, {**why, **reasons}
    return _guess(source, frame, target, options, why)


def _with_decimal_sign(frame: Frame) -> tuple[Frame, dict[str, Any], dict[str, str]]:
    """Return the table with its decimal sign, and the option to fill in if its numbers do not decide."""
    try:
        return with_decimal_signs({"": frame}, frame.names)[""], {}, {}
    except DataError as error:
        return frame, {"decimal": FILL_IN}, {"decimal": f"point or comma: {error.what}"}


def _common(
    source: Path, target: Target, options: dict[str, Any], why: dict[str, str]
) -> tuple[dict[str, Any], dict[str, str]]:
    reasons = {"target": target.reason, "task": target.task_reason}
    return {"path": str(source), "target": target.value} | options, reasons | why


def _guess(
    source: Path,
    frame: Frame,
    target: Target,
    options: dict[str, Any],
    why: dict[str, str],
    checks: tuple[str, ...] = (),
) -> DataGuess:
    splits = [
        split
        for split, stems in SPLITS.items()
        if source.is_dir() and any((source / f"{stem}{end}").is_file() for stem in stems for end in ENDINGS)
    ]
    return DataGuess(
        options,
        f"{frame.file.name} has {len(frame):,} rows and {len(frame.names)} columns",
        target.tasks,
        why=why,
        splits=tuple(split for split in splits if split != "train"),
        classes=target.classes,
        checks=checks,
    )


def _file_column(frame: Frame) -> str:
    """Return the first column whose cells are names of images, or ``""``."""
    for name in frame.names:
        cells = [cell for cell in frame.columns[name] if cell][:SAMPLED]
        if cells and all(cell.lower().endswith(IMAGES) for cell in cells):
            return name
    return ""


def _image_folder(frame: Frame, column: str) -> Path | None:
    """Return the folder that contains the images: that of the table, or one in it."""
    cells = [cell for cell in frame.columns[column] if cell][:SAMPLED]
    parent = frame.file.parent
    for folder in (parent, *(parent / name for name in list_folders(parent))):
        if all((folder / cell).is_file() for cell in cells):
            return folder
    return None


def _all_differ(frame: Frame, name: str) -> bool:
    return len(set(frame.columns[name])) == len(frame)


def _too_many_texts(frame: Frame, name: str) -> bool:
    """Whether a column of texts has about one value per row, such as names."""
    if not len(parse_numbers(frame.columns[name], frame.format).wrong):
        return False
    texts = [cell for cell in frame.columns[name] if cell and cell not in frame.format.missing]
    return len(set(texts)) > min(MAX_CATEGORIES, 0.9 * len(texts)) and len(texts) > SAMPLED
