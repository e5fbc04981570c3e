"""Evaluate the student of a run on its test split, or on other data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import ValidationError

from mtkd_cli.data import dataset
from mtkd_cli.data.dataset import Dataset, Split
from mtkd_cli.errors import DataError, RecipeError, UsageError
from mtkd_cli.inference.code_permission import announce, permit
from mtkd_cli.inference.student import LoadedStudent
from mtkd_cli.interfaces import Details, FrameLabels, TableInput, Task
from mtkd_cli.interfaces.significant_digits import round_or_none, without_nan
from mtkd_cli.plugin.registry import Registry, load_registry
from mtkd_cli.recipe.reader import apply
from mtkd_cli.recipe.resolve import find_data
from mtkd_cli.recipe.schema import Data
from mtkd_cli.recipe.shorthand import expand
from mtkd_cli.recipe.validation_messages import explain
from mtkd_cli.safe_loading.local_code import PREFIX
from mtkd_cli.stats.score import estimates
from mtkd_cli.store.data_cache import StoreCache
from mtkd_cli.training.evaluation import measure, row_predictor

SPLITS = ("test", "val", "train")


def score(
    student: LoadedStudent,
    overrides: Sequence[str] = (),
    split: str = "test",
    device: torch.device | str = "cpu",
    registry: Registry | None = None,
    cache: StoreCache | None = None,
) -> dict[str, Any]:
    """Return the metrics of a student on data with 95 % intervals over samples, and its scores per class.

    Metrics with a value by chance, as calibration errors, have no interval: they are too large on average
    where samples are few.

    Args:
        student: student of a run.
        overrides: ``data=NAME`` and ``data.KEY=VALUE`` as for a recipe; default: the data of the run.
        split: ``test``, ``val`` or ``train``, of which the labeled samples are used.
        device: device that runs the student.
        registry: available plugins; default: the installed ones.
        cache: cache of the data source; default: a `StoreCache` that shows nothing.

    Raises:
        UsageError: an override or the split is invalid.
        DataError: the data cannot be read, or has other classes or columns than the student.
    """
    if split not in SPLITS:
        raise UsageError(f"no split {split!r}", "--split", f"use {', '.join(SPLITS)}")
    options = options_of(student, overrides)
    data = load_data(student, options, registry or load_registry(), cache)
    data.require_labels(split, needed_by="its metrics")
    part = for_student(student, data, {s.name: s for s in data.splits}[split])
    module = student.module.to(device)
    measured = measure(row_predictor(module, part, device), part, student.task)
    student.module.to("cpu")
    details = student.task.details(measured.statistics)
    found = estimates(student.task, measured.statistics)
    intervals = {
        name: [None, None]
        if name in details.by_chance
        else [round_or_none(each.low), round_or_none(each.high)]
        for name, each in found.items()
    }
    return {
        "run": str(student.folder),
        "data": options.name,
        "split": split,
        "samples": len(part.labeled),
        "drawn_anew": _drawn_anew(student, options),
        "metric": student.task.primary.name,
        "scores": without_nan(measured.metrics),
        "interval": intervals[student.task.primary.name],
        "intervals": intervals,
        "by_chance": without_nan(dict(details.by_chance)),
        "classes": without_nan(_per_class(student, details)),
    }


def _per_class(student: LoadedStudent, details: Details) -> list[dict[str, Any]]:
    """Return a row for each class: its name, its number of labels (if known) and its scores."""
    counts = details.counts or tuple(map(sum, details.confusion))
    rows = []
    for index, name in enumerate(student.classes if details.per_class else ()):
        scores = {metric: values[index] for metric, values in details.per_class.items()}
        rows.append({"class": name, **({"labels": counts[index]} if counts else {}), **scores})
    return rows


def _drawn_anew(student: LoadedStudent, options: Data) -> bool:
    """Whether the run's data is split differently, so that training samples may be among the samples."""
    given = options.model_dump(mode="json")
    own = student.facts["data"]
    return bool(given["name"] == own["name"] and given != own)


def options_of(student: LoadedStudent, overrides: Sequence[str]) -> Data:
    """Return the data section of the run's recipe with overrides."""
    raw: dict[str, Any] = {"data": dict(student.facts["data"])}
    for override in overrides:
        key = override.partition("=")[0].partition(".")[0]
        if key != "data":
            raise UsageError(
                f"invalid override {override!r}", where="KEY=VALUE", hint="use data=NAME or data.KEY=VALUE"
            )
        apply(raw, override)
    try:
        return Data.model_validate(expand(raw)["data"])
    except ValidationError as error:
        raise RecipeError("data", explain(error, "data")) from error


def load_data(
    student: LoadedStudent, options: Data, registry: Registry, cache: StoreCache | None = None
) -> Dataset:
    """Load the data of a recipe section for the student's task.

    Raises:
        DataError: the data source is local code of the run that the user did not allow to run.
    """
    if options.name.startswith(PREFIX):
        if options.name == student.facts["data"]["name"]:
            permit([options.name], student.facts, str(student.folder), student.trust_code)
        else:  # named on the command line
            announce(options.name, "the data")
    part = find_data(options, registry, "data")
    task = student.facts["task"]["name"].rpartition(":")[2]
    more: dict[str, Any] = {"task": task} if part.takes("task") else {}
    if part.takes("like") and student.takes == "table" and student.table_format:
        more["like"] = TableInput(student.model.input.columns, student.table_format)
    cache = cache or StoreCache()
    return dataset.load(part.create(**more).load(cache), options, cache)


def for_student(student: LoadedStudent, data: Dataset, split: Split) -> Split:
    """Return a split with its labels renumbered to the student's classes.

    Raises:
        DataError: the data has other inputs, or classes or values that the student does not have.
    """
    where = f"data, {split.name}"
    kind = "table" if split.samples.inputs.ndim == 2 else "image"
    if kind != student.takes:
        raise DataError(
            f"the data has {kind}s, but the student needs {student.takes}s",
            where,
            f"use data with {student.takes}s",
        )
    if data.input.columns != student.model.input.columns:
        raise DataError(
            "the table's columns differ from the student's",
            where=where,
            hint=f"it needs, in this order: {', '.join(c.name for c in student.model.input.columns)}",
        )
    if data.classes == student.classes:
        return split
    unknown = [name for name in data.classes if name not in student.classes]
    if unknown:
        raise DataError(
            f"the student does not have {len(unknown)} of the data's classes, e.g. {unknown[0]!r}",
            where=where,
            hint=f"it has {', '.join(student.classes[:10])}",
        )
    numbers = np.array([student.classes.index(name) for name in data.classes])
    samples = split.samples
    targets, frames = _renumber(samples.targets, numbers, student.task), samples.frames
    if frames is not None and frames.labels is not None:
        frames = replace(frames, labels=_Renumbered(frames.labels, numbers, student.task))
    return replace(split, samples=replace(samples, targets=targets, frames=frames))


@dataclass(frozen=True)
class _Renumbered:
    """Labels on the original images with other class numbers; see `_renumber` for the attributes."""

    labels: FrameLabels
    numbers: NDArray[np.int64]
    task: Task

    def __getitem__(self, row: int) -> NDArray[Any]:
        """Return the label of a row."""
        renumbered: NDArray[Any] = _renumber(self.labels[row][None], self.numbers, self.task)[0]
        return renumbered


def _renumber(targets: NDArray[Any], numbers: NDArray[np.int64], task: Task) -> NDArray[Any]:
    """Replace each class number by ``numbers[old]``; in boxes ``[N, M, 5]`` it is column 4."""
    if targets.dtype.kind == "f" and not (task.spatial and targets.ndim == 3):
        raise DataError(
            "the data's values differ from the student's",
            where="data",
            hint="use the same values in the same order",
        )
    old = targets if targets.dtype.kind != "f" else targets[..., 4]
    is_label = np.isfinite(old) & (old >= 0)
    renamed = np.where(is_label, numbers[np.where(is_label, old, 0).astype(np.int64)], old)
    if targets.dtype.kind != "f":
        return renamed.astype(targets.dtype)
    return np.concatenate([targets[..., :4], renamed[..., None]], axis=-1).astype(targets.dtype)
