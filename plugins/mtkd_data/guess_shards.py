"""Recognize tar shards, and Parquet and Arrow files with images, for ``mtkd init --data``."""

from __future__ import annotations

import io
import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO

from mtkd_cli.errors import DataError, join_first
from mtkd_cli.interfaces import FILL_IN, DataGuess
from mtkd_data.arrow_columns import choose_columns
from mtkd_data.arrow_images import arrow_images, has_contents, read_schema
from mtkd_data.guess_images import decoding, spread
from mtkd_data.label_texts import class_names
from mtkd_data.saved_datasets import ENDINGS as TABLES
from mtkd_data.saved_datasets import split_tables
from mtkd_data.shard_index import ImageRow
from mtkd_data.split_files import UNLABELED, split_files
from mtkd_data.tar_images import FOLDER, tar_images

SHARDS, SAMPLES = 5, 20
"""Number of shards that are looked at, and of samples in each of them."""


def guess_webdataset(path: Path, task: str) -> list[DataGuess]:
    """Return the tar shards of a folder, or a single one."""
    if not (path.is_dir() or path.suffix == ".tar"):
        return []
    try:
        splits = split_files(str(path), (".tar",))
    except DataError as error:
        if error.what.startswith("no "):
            return []
        raise
    shards = splits["train"]
    rows = _first_rows(shards, None)
    options: dict[str, Any] = {"path": str(path)}
    why: dict[str, str] = {}
    labels = sorted({row.label for row in rows if row.label})
    if not labels and (labels := sorted({row.label for row in _first_rows(shards, FOLDER) if row.label})):
        options["label"], why["label"] = FOLDER, "no labels beside the images, but folders in the shards"
    if not labels:
        options["label"], why["label"] = FILL_IN, "extension or .json field with the class: none was found"
    shape, reasons = decoding([io.BytesIO(row.content) for row in rows if row.content])
    names = class_names(None, path if path.is_dir() else path.parent)
    return [
        DataGuess(
            {**options, **shape},
            f"{len(shards)} tar shards" + (f", labels such as {join_first(labels)}" if labels else ""),
            ("classification",),
            why={"task": "each sample has one label", **why, **reasons},
            splits=tuple(split for split in splits if split not in ("train", UNLABELED)),
            classes=names or (),
        )
    ]


def guess_hf_dataset(path: Path, task: str) -> list[DataGuess]:
    """Return the Parquet or Arrow files with images of a folder, or a single one."""
    if not (path.is_dir() or path.suffix in TABLES):
        return []
    try:
        splits = split_tables(str(path))
        columns = choose_columns(read_schema(splits["train"][0]), splits["train"][0])
    except DataError as error:
        if error.what.startswith(("no ", "there is no column")):
            return []
        raise
    files = splits["train"]
    images: list[BinaryIO] = []
    labels: set[str] = set()
    if has_contents(files, dict.fromkeys(files, columns)):
        for file in spread(files, SHARDS):
            rows = list(itertools.islice(arrow_images(file, columns), SAMPLES))
            images += [io.BytesIO(row.content) for row in rows if row.content]
            labels |= {row.label for row in rows if row.label}
    options: dict[str, Any] = {"path": str(path)}
    why = {"task": f"the column {columns.label} has one label for each image"}
    if columns.label is None:
        options["label"], why["label"] = FILL_IN, "column with the class of each image"
    shape, reasons = decoding(images)
    return [
        DataGuess(
            {**options, **shape},
            f"{len(files)} files with the images {columns.image}"
            + (f" and labels such as {join_first(sorted(labels))}" if labels else ""),
            ("classification",),
            why={**why, **reasons},
            splits=tuple(split for split in splits if split not in ("train", UNLABELED)),
            classes=columns.classes or (),
        )
    ]


def _first_rows(shards: Sequence[Path], label: str | None) -> list[ImageRow]:
    rows: list[ImageRow] = []
    for shard in spread(shards, SHARDS):
        rows += itertools.islice(tar_images(shard, label, None), SAMPLES)
    return rows
