"""Check a data set: files, labels, samples that are there twice, test samples in training."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mtkd_cli.data.dataset import Split
from mtkd_cli.doctor.finding import Finding, Status
from mtkd_cli.reading import images
from mtkd_cli.reading.image_folders import images_in
from mtkd_cli.recipe.resolve import Part
from mtkd_cli.training.context import Context

WORKERS = 4
SHOWN = 3
"""Names that a row gives at most."""

FEWEST = 5
"""Labelled training samples of a class below which its labels are called few."""

MOST_LEAKED = 0.01
"""Share of the test samples that may be in the training data before it is a fault."""


def unreadable(part: Part) -> Iterator[Finding]:
    """Yield what cannot be read of the images in the folders that a source's options name."""
    folders = [
        Path(value) for value in part.options.values() if isinstance(value, str) and Path(value).is_dir()
    ]
    files = [file for folder in folders for file in images_in(folder, anywhere=True)]
    if not files:
        return
    with images.huge_refused(), ThreadPoolExecutor(WORKERS) as pool:
        bad = [
            f"{file}: {problem}"
            for file, problem in zip(files, pool.map(_problem, files), strict=True)
            if problem
        ]
    if bad:
        hint = "remove or replace them; data.on_bad_sample: skip leaves out 1 % at most"
        yield Finding(
            "files", "fail", f"{len(bad)} of {len(files)} images cannot be read: {_some(bad)}", hint
        )
    else:
        yield Finding("files", "ok", f"{len(files)} images can be read")


def _problem(file: Path) -> str:
    try:
        images.decode(file, 8, 3)
    except MemoryError:
        raise
    except Exception as error:
        return images.why(error, file)
    return ""


def splits(context: Context) -> Iterator[Finding]:
    """Yield how large the splits are, and what their labels lack."""
    data = context.data
    told = [f"{len(split)} {split.name} ({len(split.labelled)} labelled)" for split in data.splits]
    yield Finding("splits", "ok", f"{len(data.classes)} classes; {', '.join(told)}")
    if not context.task.over_classes or data.train.samples.targets.ndim != 1:
        return
    for split in data.splits:
        labels = split.samples.targets[split.labelled]
        counts = np.bincount(labels, minlength=len(data.classes))
        absent = [name for name, count in zip(data.classes, counts, strict=True) if not count]
        if absent:
            hint = "no metric speaks of them" if split.name != "train" else "the student cannot learn them"
            yield Finding("labels", "warn", f"{split.name} has no sample of {_some(absent)}", hint)
        few = [name for name, n in zip(data.classes, counts, strict=True) if 0 < n < FEWEST]
        if few and split.name == "train":
            yield Finding(
                "labels", "warn", f"fewer than {FEWEST} labels of {_some(few)}", "label more of them"
            )


def repeated(context: Context) -> Iterator[Finding]:
    """Yield samples with the same content: twice in training, or in training and in a split that judges."""
    data = context.data
    by_split = {split.name: _hashes(split) for split in data.splits}
    train = by_split["train"]
    twice = [rows for rows in train.values() if len(rows) > 1]
    targets, ids = data.all_labels.samples.targets, data.train.samples.ids
    against = [rows for rows in twice if targets.ndim == 1 and len(set(_labels(targets[rows]))) > 1]
    if against:
        names = [" and ".join(ids[row] for row in rows[:2]) for rows in against]
        yield Finding("duplicates", "warn", f"same content, other labels: {_some(names)}", "mend the labels")
    if twice:
        count = sum(len(rows) - 1 for rows in twice)
        names = [" and ".join(ids[row] for row in rows[:2]) for rows in twice]
        yield Finding(
            "duplicates", "warn", f"{count} training samples are there again: {_some(names)}", "remove them"
        )
    else:
        yield Finding("duplicates", "ok", "no training sample is there twice")
    for split, others in ((data.val, "training"), (data.test, "training or validation")):
        seen = train.keys() if split is data.val else train.keys() | by_split["val"].keys()
        shared = [rows[0] for content, rows in by_split[split.name].items() if content in seen]
        if not shared:
            yield Finding(f"leakage {split.name}", "ok", f"no {split.name} sample is in the {others} data")
            continue
        share = len(shared) / len(split)
        told = f"{len(shared)} {split.name} samples ({share:.1%}) are in the {others} data: "
        which = _some([split.samples.ids[row] for row in shared])
        status: Status = "fail" if share > MOST_LEAKED else "warn"
        yield Finding(f"leakage {split.name}", status, told + which, "remove them from one side")


def _labels(values: NDArray[Any]) -> list[float]:
    """Return the labels that are there."""
    there = values >= 0 if values.dtype.kind == "i" else np.isfinite(values)
    return [float(value) for value in values[there]]


def _hashes(split: Split) -> dict[bytes, list[int]]:
    """Return the rows of each content."""
    found: dict[bytes, list[int]] = defaultdict(list)
    for start in range(0, len(split), 1024):
        for place, sample in enumerate(split.samples.read(slice(start, start + 1024))):
            found[hashlib.sha256(np.ascontiguousarray(sample).tobytes()).digest()].append(start + place)
    return found


def _some(names: list[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more
