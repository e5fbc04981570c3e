"""The data of a run: splits, hidden labels, and a fingerprint of all of it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mtkd_cli import counter_rng
from mtkd_cli.data.subset import spread
from mtkd_cli.errors import DataError
from mtkd_cli.interfaces import Column, InputSpec, Samples, SourceData, TaskData
from mtkd_cli.interfaces.missing_labels import labelled_rows, none_like
from mtkd_cli.reading.moments import moments
from mtkd_cli.recipe.schema import Data

STATISTICS_SAMPLES = 10_000
"""Training samples that mean and deviation of the inputs are taken of, at most."""


@dataclass(frozen=True)
class Split:
    """Samples with the labels that may be seen.

    Attributes:
        samples: the samples; hidden labels are as if there were none.
        digest: SHA-256 of ids and inputs, not of targets: teachers answer inputs.
    """

    name: str
    samples: Samples
    digest: str

    def __len__(self) -> int:
        return len(self.samples)

    @cached_property
    def id_numbers(self) -> NDArray[np.uint64]:
        """64 bits for each sample id, ``[N]``."""
        return counter_rng.id_numbers(self.samples.ids)

    @cached_property
    def labelled(self) -> NDArray[np.int64]:
        """Indices of the samples whose label may be seen."""
        return np.flatnonzero(labelled_rows(self.samples.targets))


@dataclass(frozen=True)
class Dataset:
    """Train, validation and test splits of a recipe's data.

    Attributes:
        all_labels: the training split with hidden labels too, for teachers that may see them.
        input: size, channels, mean and deviation of the training inputs.
        fit: see `SourceData.fit`.
    """

    classes: tuple[str, ...]
    train: Split
    val: Split
    test: Split
    all_labels: Split
    input: InputSpec
    fit: str = "crop"

    @property
    def splits(self) -> tuple[Split, Split, Split]:
        """Training, validation and test."""
        return self.train, self.val, self.test

    @property
    def for_task(self) -> TaskData:
        """What a task is told."""
        return TaskData(self.classes, self.train.samples.targets, self.input)


def load(source: SourceData, options: Data) -> Dataset:
    """Split the source's samples and hide the labels that the student may not see.

    The number ``options.labels`` counts training and validation labels together; the share
    ``options.val`` of them is for validation. Test and validation samples are drawn in proportion
    to the classes, labels that are kept evenly over them.

    Raises:
        DataError: an empty split, a label out of range, or fewer labels than asked for.
    """
    _check(source)
    train, test = source.train, source.test
    if test is None:
        labelled = np.flatnonzero(labelled_rows(train.targets))
        count = round(options.test * len(labelled))
        held = labelled[in_proportion(strata(train.targets[labelled]), count, "test", options.seed)]
        test, train = train.take(np.sort(held)), train.take(np.setdiff1d(np.arange(len(train)), held))
    train, val, hidden = _train_and_val(train, source.val, options)
    splits = [Split(n, s, _digest(s)) for n, s in (("train", hidden), ("val", val), ("test", test))]
    for split in splits:
        if not len(split.labelled):
            raise DataError(
                f"the {split.name} split has no labelled sample",
                where=f"data {options.name}",
                hint="raise data.labels, data.val or data.test",
            )
    everything = Split("train", train, splits[0].digest)
    statistics = _statistics(train, source.columns)
    return Dataset(source.classes, splits[0], splits[1], splits[2], everything, statistics, source.fit)


def _train_and_val(train: Samples, val: Samples | None, options: Data) -> tuple[Samples, Samples, Samples]:
    """Return (train with every label, validation, train with the student's labels)."""
    labelled = np.flatnonzero(labelled_rows(train.targets))
    available = len(labelled) + (len(val) if val else 0)
    budget = available if options.labels is None else options.labels
    if budget > available:
        raise DataError(
            f"data.labels is {budget}, but only {available} samples are labelled",
            where=f"data {options.name}",
            hint="lower it or leave it out",
        )
    count = min(round(options.val * budget), len(val) if val else budget)
    if val is not None:
        count = count if options.labels else len(val)
        val = val.take(np.sort(in_proportion(strata(val.targets), count, "val", options.seed)))
    else:
        held = labelled[in_proportion(strata(train.targets[labelled]), count, "val", options.seed)]
        val, train = train.take(np.sort(held)), train.take(np.setdiff1d(np.arange(len(train)), held))
    labelled = np.flatnonzero(labelled_rows(train.targets))
    keep = len(labelled) if options.labels is None else min(budget - len(val), len(labelled))
    kept = labelled[_even(strata(train.targets[labelled]), keep, "labels", options.seed)]
    targets = none_like(train.targets)
    targets[kept] = train.targets[kept]
    return train, val, replace(train, targets=targets)


def strata(targets: NDArray[Any]) -> NDArray[np.int64]:
    """Return the group of each sample that splits keep in proportion: its class, if it has one of many."""
    if targets.ndim == 1 and targets.dtype.kind == "i":
        return targets.astype(np.int64)
    return np.zeros(len(targets), dtype=np.int64)


def _even(targets: NDArray[np.int64], count: int, *parts: str | int) -> NDArray[np.int64]:
    """Return ``count`` indices drawn in rounds, one of each class a round."""
    order = counter_rng.permutation(len(targets), *parts)
    return order[np.argsort(_rounds(targets[order])[0], kind="stable")][:count]


def in_proportion(targets: NDArray[np.int64], count: int, *parts: str | int) -> NDArray[np.int64]:
    """Return ``count`` indices, of each class as large a share as of the others."""
    order = counter_rng.permutation(len(targets), *parts)
    number, size = _rounds(targets[order])
    return order[np.argsort((number + 0.5) / size, kind="stable")][:count]


def _rounds(targets: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return of each sample its number within its class, and the size of the class."""
    number, size = np.zeros_like(targets), np.zeros_like(targets)
    for label in np.unique(targets):
        members = np.flatnonzero(targets == label)
        number[members], size[members] = np.arange(len(members)), len(members)
    return number, size


def _check(source: SourceData) -> None:
    seen: dict[str, str] = {}
    for name, split in (("train", source.train), ("val", source.val), ("test", source.test)):
        if split is None:
            continue
        if not len(split):
            raise DataError(f"the {name} split is empty")
        _check_targets(split, name, len(source.classes))
        for sample in split.ids:
            if sample in seen:
                raise DataError(
                    f"the sample {sample!r} stands twice",
                    where=f"{seen[sample]} and {name}",
                    hint="remove one: a test sample must not be trained on",
                )
            seen[sample] = name


def _check_targets(split: Samples, name: str, classes: int) -> None:
    targets = split.targets
    is_class = targets.dtype.kind != "f"
    bad = np.argwhere((targets < -1) | (targets >= classes) if is_class else np.isinf(targets))
    if len(bad):
        value = targets[tuple(bad[0])]
        raise DataError(
            f"label {value} is outside the {classes} classes" if is_class else f"the label is {value}",
            where=f"{name}, sample {split.ids[bad[0][0]]}",
            hint="mend the label or the class list" if is_class else "mend the label, or leave it empty",
        )


def _digest(samples: Samples) -> str:
    digest = hashlib.sha256()
    digest.update("\x1f".join(samples.ids).encode())
    digest.update(str(((len(samples), *samples.inputs.shape[1:]), str(samples.inputs.dtype))).encode())
    for start in range(0, len(samples), 4096):
        digest.update(np.ascontiguousarray(samples.read(slice(start, start + 4096))).data)
    return digest.hexdigest()


def _statistics(train: Samples, columns: tuple[Column, ...]) -> InputSpec:
    """Return size, channels, mean and deviation of the training inputs, exactly summed."""
    chosen = train.read(spread(np.arange(len(train)), STATISTICS_SAMPLES))
    if chosen.ndim == 2:
        return _of_table(chosen, columns or tuple(Column(str(i)) for i in range(chosen.shape[1])))
    counts = np.zeros((chosen.shape[1], 256), dtype=np.int64)
    for image in chosen:
        for channel in range(chosen.shape[1]):
            counts[channel] += np.bincount(image[channel].ravel(), minlength=256)
    values = np.arange(256) / 255
    share = counts / counts.sum(axis=1, keepdims=True)
    mean = share @ values
    std = np.sqrt(np.maximum(share @ values**2 - mean**2, 1e-6))
    return _input_spec(int(train.inputs.shape[-1]), mean, std)


def _of_table(rows: NDArray[Any], columns: tuple[Column, ...]) -> InputSpec:
    """Return the columns with mean and deviation of what is there; 0 and 1 for categories."""
    values = np.ma.masked_invalid(rows.astype(np.float64))
    values[:, [bool(column.categories) for column in columns]] = np.ma.masked
    mean, std = moments(values.filled(np.nan))
    channels = sum(len(column.categories) or 1 for column in columns)
    return InputSpec(1, tuple(map(float, mean)), tuple(map(float, std)), channels, columns=columns)


def _input_spec(size: int, mean: NDArray[np.float64], std: NDArray[np.float64]) -> InputSpec:
    return InputSpec(
        size=size,
        channels=len(mean),
        mean=tuple(round(float(m), 6) for m in mean),
        std=tuple(round(float(s), 6) for s in std),
    )
