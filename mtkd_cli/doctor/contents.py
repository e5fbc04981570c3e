"""Check a data set: files, labels, duplicate samples, and test samples in the training data."""

from __future__ import annotations

import hashlib
import os
from collections import defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mtkd_cli.data.dataset import Split
from mtkd_cli.data.inputs import are_in_memory
from mtkd_cli.doctor.finding import Finding, Status
from mtkd_cli.reading import images
from mtkd_cli.reading.image_folders import as_utf8, list_images
from mtkd_cli.recipe.resolve import Part
from mtkd_cli.stats import jackknife
from mtkd_cli.training.context import Context

WORKERS = 4
SHOWN = 3
"""Maximum number of names in a row."""

FEWEST = 5
"""Number of labeled training samples of a class below which the check warns."""

FEWEST_VALIDATION = 10
"""Number of labeled validation samples below which the check warns."""

MOST_LEAKED = 0.01
"""Share of test samples in the training data above which the check fails."""


def check_images(part: Part) -> Iterator[Finding]:
    """Decode every image in the folders that the data source's options name; name other image files."""
    folders = [
        Path(value) for value in part.options.values() if isinstance(value, str) and Path(value).is_dir()
    ]
    files = _list_once(folders, images.ENDINGS)
    if ignored := _list_once(folders, images.OTHER_ENDINGS):
        hint = "convert them, for example to PNG, or remove them"
        shown = f"{len(ignored)} image files are not {images.KINDS} and are ignored: "
        yield Finding("files", "warn", shown + _shorten([as_utf8(file) for file in ignored]), hint)
    if not files:
        return
    with images.refuse_bombs(), ThreadPoolExecutor(WORKERS) as pool:
        bad = [
            f"{as_utf8(file)}: {problem}"
            for file, problem in zip(files, pool.map(_problem, files), strict=True)
            if problem
        ]
    if bad:
        hint = "remove or replace them; data.on_bad_sample: skip ignores up to 1 %"
        yield Finding(
            "files", "fail", f"{len(bad)} of {len(files)} images cannot be read: {_shorten(bad)}", hint
        )
    else:
        yield Finding("files", "ok", f"all {len(files)} images can be read")


def _list_once(folders: Sequence[Path], endings: tuple[str, ...]) -> list[Path]:
    """Return the files in folders, which may contain each other."""
    found = (file for folder in folders for file in list_images(folder, anywhere=True, endings=endings))
    return list({os.path.realpath(file): file for file in found}.values())


def _problem(file: Path) -> str:
    try:
        images.decode(file, 8, 3)
    except MemoryError:
        raise
    except Exception as error:
        return images.failure_reason(error, file)
    return ""


def check_splits(context: Context) -> Iterator[Finding]:
    """Report how files were read and the sizes of the splits; warn about classes with few or no labels."""
    data = context.data
    for note in data.notes:
        yield Finding("data", "ok", note)
    sizes = [f"{len(split)} {split.name} ({len(split.labeled)} labeled)" for split in data.splits]
    yield Finding("splits", "ok", f"{len(data.classes)} classes; {', '.join(sizes)}")
    yield from _check_sizes(context)
    if not context.task.over_classes or data.train.samples.targets.ndim != 1:
        return
    for split in data.splits:
        if not len(split.labeled):
            yield Finding("labels", "ok", f"{split.name} has no labels: only the teachers say what is in it")
            continue
        labels = split.samples.targets[split.labeled]
        counts = np.bincount(labels, minlength=len(data.classes))
        absent = [name for name, count in zip(data.classes, counts, strict=True) if not count]
        if absent:
            hint = "metrics ignore them" if split.name != "train" else "the student cannot learn them"
            yield Finding("labels", "warn", f"{split.name} has no sample of {_shorten(absent)}", hint)
        few = [name for name, n in zip(data.classes, counts, strict=True) if 0 < n < FEWEST]
        if few and split.name == "train":
            yield Finding(
                "labels", "warn", f"fewer than {FEWEST} labels of {_shorten(few)}", "label more samples"
            )


def _check_sizes(context: Context) -> Iterator[Finding]:
    """Warn about too few labels to choose a student on, or to test it."""
    chance = "the choice of learning rate and checkpoint is mostly chance"
    for split, fewest, effect, key in (
        (context.data.val, FEWEST_VALIDATION, chance, "data.val"),
        (context.data.test, jackknife.FEWEST, "the report gives no interval", "data.test"),
    ):
        count = len(split.labeled)
        if count < fewest:
            found = f"{split.name} has {count} labeled {'sample' if count == 1 else 'samples'}: {effect}"
            yield Finding("labels", "warn", found, f"increase {key}, or label more samples")


def check_duplicates(context: Context) -> Iterator[Finding]:
    """Find samples with equal content: within the training data, and across splits."""
    data = context.data
    by_split = {split.name: _rows_by_hash(split) for split in data.splits}
    train = by_split["train"]
    duplicates = [rows for rows in train.values() if len(rows) > 1]
    targets, ids = data.all_labels.samples.targets, data.train.samples.ids
    conflicting = [rows for rows in duplicates if targets.ndim == 1 and len(_labels(targets[rows])) > 1]
    if conflicting:
        names = [" and ".join(ids[row] for row in rows[:2]) for rows in conflicting]
        yield Finding(
            "duplicates", "warn", f"same content, different labels: {_shorten(names)}", "fix the labels"
        )
    if duplicates:
        count = sum(len(rows) - 1 for rows in duplicates)
        names = [" and ".join(ids[row] for row in rows[:2]) for rows in duplicates]
        yield Finding(
            "duplicates", "warn", f"{count} duplicate training samples: {_shorten(names)}", "remove them"
        )
    else:
        yield Finding("duplicates", "ok", "no duplicate training samples")
    for split, others in ((data.val, "training"), (data.test, "training or validation")):
        other_hashes = train.keys() if split is data.val else train.keys() | by_split["val"].keys()
        shared = [rows[0] for digest, rows in by_split[split.name].items() if digest in other_hashes]
        if not shared:
            yield Finding(f"leakage {split.name}", "ok", f"no {split.name} sample is in the {others} data")
            continue
        share = len(shared) / len(split)
        summary = f"{len(shared)} {split.name} samples ({share:.1%}) are in the {others} data: "
        names = [split.samples.ids[row] for row in shared]
        status: Status = "fail" if share > MOST_LEAKED else "warn"
        yield Finding(
            f"leakage {split.name}", status, summary + _shorten(names), "remove them from one split"
        )


def _labels(values: NDArray[Any]) -> set[float]:
    """Return the distinct labels of some samples, without missing ones."""
    is_labeled = values >= 0 if values.dtype.kind == "i" else np.isfinite(values)
    return {float(value) for value in values[is_labeled]}


def _rows_by_hash(split: Split) -> dict[bytes, list[int]]:
    """Return the rows of a split, grouped by the SHA-256 of their inputs.

    Of inputs that must be decoded, the files are compared.
    """
    found: dict[bytes, list[int]] = defaultdict(list)
    samples = split.samples
    if samples.contents is not None and not are_in_memory(samples):
        contents = samples.contents if samples.rows is None else samples.contents[samples.rows]
        for row, digest in enumerate(contents):
            found[digest.tobytes()].append(row)
        return found
    for start in range(0, len(split), 1024):
        for row, sample in enumerate(split.samples.read(slice(start, start + 1024)), start):
            found[hashlib.sha256(np.ascontiguousarray(sample).tobytes()).digest()].append(row)
    return found


def _shorten(names: list[str]) -> str:
    """Return the first names as a list, with the number of the others."""
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more
