"""The data of a run: splits, hidden labels and fingerprints."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mtkd_cli import counter_rng
from mtkd_cli.data.inputs import are_in_memory
from mtkd_cli.data.subset import sample_rows
from mtkd_cli.errors import DataError
from mtkd_cli.files.mapped_pages import release_pages
from mtkd_cli.interfaces import (
    Column,
    DataCache,
    InputSpec,
    Samples,
    SourceData,
    TableFormat,
    TaskData,
    find_duplicate,
)
from mtkd_cli.interfaces.missing_labels import has_label, missing_labels_like
from mtkd_cli.reading.moments import mean_and_deviation
from mtkd_cli.recipe.schema import Data

DIGEST_BATCH = 4096
STATISTICS_BATCH = 256
STATISTICS_SAMPLES = 10_000
"""Maximum number of training samples for the mean and deviation of the inputs."""


@dataclass(frozen=True)
class Split:
    """The samples of a split, without hidden labels.

    Attributes:
        name: ``train``, ``val`` or ``test``.
        samples: the samples; a hidden label is a missing one.
        digest: SHA-256 of ids and inputs. Targets are excluded: teachers do not see them.
    """

    name: str
    samples: Samples
    digest: str

    def __len__(self) -> int:
        return len(self.samples)

    @cached_property
    def id_numbers(self) -> NDArray[np.uint64]:
        """64-bit hash of each sample id, ``[N]``."""
        return counter_rng.id_numbers(self.samples.ids)

    @cached_property
    def labeled(self) -> NDArray[np.int64]:
        """Indices of the labeled samples."""
        return np.flatnonzero(has_label(self.samples.targets))


@dataclass(frozen=True)
class Dataset:
    """Train, validation and test splits of a recipe's data.

    Attributes:
        classes: class names.
        train: training split, with the labels that the student may see.
        val: validation split.
        test: test split.
        all_labels: training split with all labels, for teachers that may see them.
        input: size, channels, mean and deviation of the training inputs.
        fit: see `SourceData.fit`.
        table: see `SourceData.table`.
        notes: see `SourceData.notes`.
    """

    classes: tuple[str, ...]
    train: Split
    val: Split
    test: Split
    all_labels: Split
    input: InputSpec
    fit: str = "crop"
    table: TableFormat | None = None
    notes: tuple[str, ...] = ()

    @property
    def splits(self) -> tuple[Split, Split, Split]:
        """Training, validation and test split."""
        return self.train, self.val, self.test

    @property
    def example(self) -> Split:
        """The split for examples of inputs: validation, or training if it is empty."""
        return self.val if len(self.val) else self.train

    def require_labels(self, name: str, needed_by: str) -> None:
        """Raise if a split has no labeled sample.

        Args:
            name: name of the split.
            needed_by: what needs its labels, for the message.

        Raises:
            DataError: names the split.
        """
        split = next(split for split in self.splits if split.name == name)
        if not len(split.labeled):
            raise DataError(
                f"the {name} split has no labeled sample; needed by {needed_by}",
                where="data",
                hint="add labels, or raise data.labels, data.val or data.test",
            )

    @property
    def for_task(self) -> TaskData:
        """The data that tasks receive."""
        return TaskData(self.classes, self.train.samples.targets, self.input)


def load(source: SourceData, options: Data, cache: DataCache | None = None) -> Dataset:
    """Split the source's samples and hide the labels that the student may not see.

    If the source has no validation split, the share ``options.val`` of the labels is for validation, and
    ``options.labels`` counts training and validation labels together. A validation split of the source is
    used whole, and ``options.labels`` counts training labels. Test and validation samples are drawn in
    proportion to the class sizes, visible labels in equal numbers per class. Splits may have no labels, and
    those that are drawn may be empty: see `Dataset.require_labels`.

    Args:
        source: the data.
        options: the recipe's ``data``.
        cache: keeps the mean and deviation of inputs that must be decoded; None: they are computed.

    Raises:
        DataError: a split of the source is empty, a label is invalid, an id is used twice, or
            `options.labels` exceeds the number of labels.
    """
    _check(source)
    train, test = source.train, source.test
    if test is None:
        labeled = np.flatnonzero(has_label(train.targets))
        count = round(options.test * len(labeled))
        held = labeled[draw_in_proportion(strata(train.targets[labeled]), count, "test", options.seed)]
        test, train = train.take(np.sort(held)), train.take(np.delete(np.arange(len(train)), held))
    train, val, hidden = _train_and_val(train, source.val, options)
    splits = [Split(n, s, _digest(s)) for n, s in (("train", hidden), ("val", val), ("test", test))]
    if not len(splits[0]):
        raise DataError("the train split is empty", "data", "lower data.val or data.test")
    all_labels = Split("train", train, splits[0].digest)
    statistics = _kept_statistics(train, source.columns, splits[0].digest, cache)
    dataset = Dataset(source.classes, splits[0], splits[1], splits[2], all_labels, statistics, source.fit)
    return replace(dataset, table=source.table, notes=source.notes)


def _train_and_val(train: Samples, val: Samples | None, options: Data) -> tuple[Samples, Samples, Samples]:
    """Return the training samples with all labels, the validation samples, and the training samples with
    visible labels only.

    Args:
        train: samples of the source without test samples.
        val: validation samples of the source, if it has any.
        options: the recipe's ``data``.
    """
    labeled = np.flatnonzero(has_label(train.targets))
    budget = len(labeled) if options.labels is None else options.labels
    if budget > len(labeled):
        samples = "training samples" if val else "samples"
        raise DataError(
            f"data.labels is {budget}, but only {len(labeled)} {samples} are labeled",
            where=f"data {options.name}",
            hint="lower data.labels, or remove it",
        )
    if val is None:
        count = min(round(options.val * budget), budget)
        held = labeled[draw_in_proportion(strata(train.targets[labeled]), count, "val", options.seed)]
        val, train = train.take(np.sort(held)), train.take(np.delete(np.arange(len(train)), held))
        labeled, budget = np.flatnonzero(has_label(train.targets)), budget - count
    if budget == len(labeled):  # every label is visible
        return train, val, train
    kept = labeled[_draw_evenly(strata(train.targets[labeled]), budget, "labels", options.seed)]
    targets = missing_labels_like(train.targets)
    targets[kept] = train.targets[kept]
    return train, val, replace(train, targets=targets)


def strata(targets: NDArray[Any]) -> NDArray[np.int64]:
    """Return the stratum of each sample, ``[N]``: its class, or 0 if labels are not single classes."""
    if targets.ndim == 1 and targets.dtype.kind == "i":
        return targets.astype(np.int64)
    return np.zeros(len(targets), dtype=np.int64)


def _draw_evenly(classes: NDArray[np.int64], count: int, *parts: str | int) -> NDArray[np.int64]:
    """Return ``count`` random indices, in equal numbers per class while a class has samples left."""
    order = counter_rng.permutation(len(classes), *parts)
    # Sort by the position within the class: first one sample of each class, then a second one, ...
    position, _ = _position_in_class(classes[order])
    return order[np.argsort(position, kind="stable")][:count]


def draw_in_proportion(classes: NDArray[np.int64], count: int, *parts: str | int) -> NDArray[np.int64]:
    """Return ``count`` random indices, the same share of every class."""
    order = counter_rng.permutation(len(classes), *parts)
    position, size = _position_in_class(classes[order])
    # Sort by the quantile within the class: the first ``count`` contain the same share of each class.
    return order[np.argsort((position + 0.5) / size, kind="stable")][:count]


def _position_in_class(classes: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return each sample's position among the samples of its class, and the size of the class, ``[N]``."""
    _, number, counts = np.unique(classes, return_inverse=True, return_counts=True)
    in_order = np.argsort(number, kind="stable")  # class by class, in the order of the samples
    position = np.empty_like(classes)
    position[in_order] = np.arange(len(classes)) - np.repeat(np.cumsum(counts) - counts, counts)
    return position, counts[number]


def _check(source: SourceData) -> None:
    splits: dict[str, Sequence[str]] = {}
    for name, split in (("train", source.train), ("val", source.val), ("test", source.test)):
        if split is None:
            continue
        if not len(split):
            raise DataError(f"the {name} split is empty", where="data", hint="check the files of this split")
        _check_targets(split, name, len(source.classes))
        splits[name] = split.ids
    if found := find_duplicate(*splits.values()):
        (second, row), (first, _) = found
        names = list(splits)
        raise DataError(
            f"duplicate sample id {splits[names[second]][row]!r}",
            where=f"{names[first]} and {names[second]}",
            hint="remove one of the samples; the splits must not overlap",
        )


def _check_targets(split: Samples, name: str, classes: int) -> None:
    targets = split.targets
    is_class = targets.dtype.kind != "f"
    if is_class and targets.min(initial=0) >= -1 and targets.max(initial=-1) < classes:
        return  # without an array of the masks' shape
    bad = np.argwhere((targets < -1) | (targets >= classes) if is_class else np.isinf(targets))
    if len(bad):
        value = targets[tuple(bad[0])]
        raise DataError(
            f"label {value} is not one of the {classes} classes" if is_class else f"the label is {value}",
            where=f"{name}, sample {split.ids[bad[0][0]]}",
            hint="fix the label or the class list" if is_class else "fix the label, or leave it empty",
        )


def _digest(samples: Samples) -> str:
    """Return the SHA-256 of ids and inputs; of the encoded files where the source has their digests."""
    digest = hashlib.sha256()
    for part in _parts(samples):
        digest.update((("\x1f" if part.start else "") + "\x1f".join(samples.ids[part])).encode())
    if samples.contents is not None:
        digest.update(samples.decoder.encode())
        for part in _parts(samples):
            contents = samples.contents[part if samples.rows is None else samples.rows[part]]
            digest.update(np.ascontiguousarray(contents).data)
        release_pages(samples.contents)
        return digest.hexdigest()
    digest.update(str(((len(samples), *samples.inputs.shape[1:]), str(samples.inputs.dtype))).encode())
    for part in _parts(samples):
        digest.update(np.ascontiguousarray(samples.read(part)).data)
    return digest.hexdigest()


def _parts(samples: Samples) -> Iterator[slice]:
    return (slice(start, start + DIGEST_BATCH) for start in range(0, len(samples), DIGEST_BATCH))


def _kept_statistics(
    train: Samples, columns: tuple[Column, ...], digest: str, cache: DataCache | None
) -> InputSpec:
    """Return the statistics of the training inputs; those of decoded files are computed once."""
    if cache is None or are_in_memory(train):
        return _statistics(train, columns)

    def write(folder: Path) -> None:
        found = _statistics(train, columns)
        text = json.dumps({"size": found.size, "mean": found.mean, "std": found.std})
        (folder / "statistics.json").write_text(text)

    folder = cache.keep({"statistics": digest, "samples": STATISTICS_SAMPLES}, write)
    kept = json.loads((folder / "statistics.json").read_text())
    size = kept["size"] if isinstance(kept["size"], int) else tuple(kept["size"])
    return InputSpec(size, tuple(kept["mean"]), tuple(kept["std"]), len(kept["mean"]))


def _statistics(train: Samples, columns: tuple[Column, ...]) -> InputSpec:
    """Return size, channels, mean and deviation of the training inputs."""
    rows = sample_rows(np.arange(len(train)), STATISTICS_SAMPLES)
    if train.inputs.ndim == 2:
        inputs = train.read(rows)
        return _table_statistics(inputs, columns or tuple(Column(str(i)) for i in range(inputs.shape[1])))
    # Histogram [C, 256] of the pixel values: exact integer sums, one image at a time.
    counts = np.zeros((train.inputs.shape[1], 256), dtype=np.int64)
    for start in range(0, len(rows), STATISTICS_BATCH):
        for image in train.read(rows[start : start + STATISTICS_BATCH]):
            for channel, pixels in enumerate(image):
                counts[channel] += np.bincount(pixels.ravel(), minlength=256)
    values = np.arange(256) / 255
    share = counts / counts.sum(axis=1, keepdims=True)
    mean = share @ values  # [C, 256] @ [256] -> [C]
    std = np.sqrt(np.maximum(share @ values**2 - mean**2, 1e-6))
    height, width = train.inputs.shape[2:]
    return _input_spec(height if height == width else (height, width), mean, std)


def _table_statistics(rows: NDArray[Any], columns: tuple[Column, ...]) -> InputSpec:
    """Return columns, mean and deviation of table rows ``[N, F]``.

    Missing values are ignored. A column of categories has mean 0 and deviation 1.
    """
    values = np.ma.masked_invalid(rows.astype(np.float64))
    # Masked columns are NaN below, so that their mean is 0 and their deviation 1.
    values[:, [bool(column.categories) for column in columns]] = np.ma.masked
    mean, std = mean_and_deviation(values.filled(np.nan))
    channels = sum(len(column.categories) or 1 for column in columns)
    return InputSpec(1, tuple(map(float, mean)), tuple(map(float, std)), channels, columns=columns)


def _input_spec(
    size: int | tuple[int, int], mean: NDArray[np.float64], std: NDArray[np.float64]
) -> InputSpec:
    return InputSpec(
        size=size,
        channels=len(mean),
        mean=tuple(round(float(m), 6) for m in mean),
        std=tuple(round(float(s), 6) for s in std),
    )
