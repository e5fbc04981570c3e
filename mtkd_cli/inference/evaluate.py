"""Score a run's student on its test split, or on other data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
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
from mtkd_cli.interfaces import Task
from mtkd_cli.interfaces.significant_digits import rounded, without_nan
from mtkd_cli.plugin.registry import Registry, installed
from mtkd_cli.recipe.reader import apply
from mtkd_cli.recipe.resolve import find_data
from mtkd_cli.recipe.schema import Data
from mtkd_cli.recipe.shorthand import expand
from mtkd_cli.recipe.validation_messages import explain
from mtkd_cli.safe_loading.local_code import PREFIX
from mtkd_cli.stats.score import score_of
from mtkd_cli.store.data_cache import StoreCache
from mtkd_cli.training.evaluation import measure, row_predictor

SPLITS = ("test", "val", "train")


def score(
    student: LoadedStudent,
    overrides: Sequence[str] = (),
    split: str = "test",
    device: torch.device | str = "cpu",
    registry: Registry | None = None,
) -> dict[str, Any]:
    """Return the metrics of a student on data, and the 95 % interval of the primary one over samples.

    Args:
        student: a run's.
        overrides: ``data=NAME`` and ``data.KEY=VALUE`` as for a recipe; without them the run's own data.
        split: ``test``, ``val`` or ``train``: its labelled samples.
        device: where it runs.
        registry: the plugins; default: the installed ones.

    Raises:
        UsageError: overrides that fit nowhere.
        DataError: data that cannot be read, or whose classes or columns are not the student's.
    """
    if split not in SPLITS:
        raise UsageError(f"no split {split!r}", "--split", f"use {', '.join(SPLITS)}")
    options = options_of(student, overrides)
    data = load_data(student, options, registry or installed())
    part = for_student(student, data, {s.name: s for s in data.splits}[split])
    module = student.module.to(device)
    measured = measure(row_predictor(module, part, device), part, student.task)
    student.module.to("cpu")
    interval = score_of(student.task, measured.statistics).estimate()
    return {
        "run": str(student.folder),
        "data": options.name,
        "split": split,
        "samples": len(part.labelled),
        "drawn_anew": _drawn_anew(student, options),
        "metric": student.task.primary.name,
        "scores": without_nan(measured.metrics),
        "interval": [rounded(interval.low), rounded(interval.high)],
        "by_chance": without_nan(dict(student.task.details(measured.statistics).by_chance)),
    }


def _drawn_anew(student: LoadedStudent, options: Data) -> bool:
    """Whether the run's own data is split otherwise, so that samples may have been trained on."""
    given = options.model_dump(mode="json")
    own = student.facts["data"]
    return bool(given["name"] == own["name"] and given != own)


def options_of(student: LoadedStudent, overrides: Sequence[str]) -> Data:
    """Return the recipe's data section with overrides."""
    raw: dict[str, Any] = {"data": dict(student.facts["data"])}
    for override in overrides:
        key = override.partition("=")[0].partition(".")[0]
        if key != "data":
            raise UsageError(
                f"{override!r} does not choose data", where="KEY=VALUE", hint="data=NAME or data.KEY=VALUE"
            )
        apply(raw, override)
    try:
        return Data.model_validate(expand(raw)["data"])
    except ValidationError as error:
        raise RecipeError("data", explain(error, "data")) from error


def load_data(student: LoadedStudent, options: Data, registry: Registry) -> Dataset:
    """Return the data of a section, as the student's task has it.

    Raises:
        DataError: it is local code that the run names, and the user did not allow it.
    """
    if options.name.startswith(PREFIX):
        if options.name == student.facts["data"]["name"]:
            permit([options.name], student.facts, str(student.folder), student.trust_code)
        else:  # named on the command line
            announce(options.name, "the data")
    part = find_data(options, registry, "data")
    task = student.facts["task"]["name"].rpartition(":")[2]
    told = {"task": task} if part.takes("task") else {}
    return dataset.load(part.create(**told).load(StoreCache()), options)


def for_student(student: LoadedStudent, data: Dataset, split: Split) -> Split:
    """Return a split whose labels are numbers of the student's classes.

    Raises:
        DataError: it has classes, values or columns that the student does not know.
    """
    where = f"data, {split.name}"
    kind = "table" if split.samples.inputs.ndim == 2 else "image"
    if kind != student.takes:
        raise DataError(f"the data has {kind}s, the student takes {student.takes}s", where, "give other data")
    if data.input.columns != student.model.input.columns:
        raise DataError(
            "the table's columns are not the student's",
            where=where,
            hint=f"it needs, in this order: {', '.join(c.name for c in student.model.input.columns)}",
        )
    if data.classes == student.classes:
        return split
    unknown = [name for name in data.classes if name not in student.classes]
    if unknown:
        raise DataError(
            f"the student does not know {len(unknown)} of the data's classes, the first: {unknown[0]!r}",
            where=where,
            hint=f"it knows {', '.join(student.classes[:10])}",
        )
    numbers = np.array([student.classes.index(name) for name in data.classes])
    targets = _renamed(split.samples.targets, numbers, student.task)
    return replace(split, samples=replace(split.samples, targets=targets))


def _renamed(targets: NDArray[Any], numbers: NDArray[np.int64], task: Task) -> NDArray[Any]:
    """Return labels with other class numbers; of boxes the last column is the class."""
    if targets.dtype.kind == "f" and not (task.spatial and targets.ndim == 3):
        raise DataError(
            "the data's values are not the student's", where="data", hint="give the same values in its order"
        )
    place = targets if targets.dtype.kind != "f" else targets[..., 4]
    there = np.isfinite(place) & (place >= 0)
    renamed = np.where(there, numbers[np.where(there, place, 0).astype(np.int64)], place)
    if targets.dtype.kind != "f":
        return renamed.astype(targets.dtype)
    return np.concatenate([targets[..., :4], renamed[..., None]], axis=-1).astype(targets.dtype)
