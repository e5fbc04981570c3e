"""Samples of images whose labels are texts, as the sources of shards find them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mtkd_cli.errors import DataError, join_first
from mtkd_cli.interfaces import DataCache, Samples, SourceData, find_duplicate, take_ids
from mtkd_cli.reading.encoded_images import EncodedImages
from mtkd_cli.reading.image_reader import DecodeOptions
from mtkd_data.image_cache import read_images
from mtkd_data.label_texts import class_numbers

INVALID = -2


@dataclass(frozen=True)
class LabeledImages:
    """The images of one split.

    Attributes:
        encoded: N encoded images.
        ids: N sample ids.
        labels: different labels, as texts.
        numbers: ``[N]``, index of each sample's label in ``labels``; -1: not labeled.
    """

    encoded: EncodedImages
    ids: Sequence[str]
    labels: tuple[str, ...]
    numbers: NDArray[np.int32]

    def used_labels(self) -> list[str]:
        """Return the labels that a sample has."""
        return [self.labels[number] for number in np.unique(self.numbers) if number >= 0]


def to_source_data(
    cache: DataCache,
    splits: Mapping[str, LabeledImages],
    names: tuple[str, ...] | None,
    options: DecodeOptions,
    labels_are_names: bool = False,
) -> SourceData:
    """Return the samples of the splits.

    Args:
        cache: cache of decoded images.
        splits: the images of ``train``, and of ``val`` and ``test`` if the source has them.
        names: class names, if the source states them.
        options: how to decode the images.
        labels_are_names: whether no label is a class number.

    Raises:
        DataError: a label is not a class, two samples have the same id, or an image cannot be read.
    """
    for split, images in splits.items():
        if not len(images.encoded):
            raise DataError(f"the {split} split has no images", where="data", hint="fix its path")
        _check_ids(images)
    others = [label for split in splits if split != "train" for label in splits[split].used_labels()]
    classes, number_of = class_numbers(splits["train"].used_labels(), others, names, labels_are_names)
    samples = {
        split: _samples(cache, images, classes, number_of, options) for split, images in splits.items()
    }
    return SourceData(classes, samples["train"], samples.get("val"), samples.get("test"), fit=options.fit)


def _samples(
    cache: DataCache,
    images: LabeledImages,
    classes: Sequence[str],
    number_of: Mapping[str, int],
    options: DecodeOptions,
) -> Samples:
    meaning = [number_of.get(label, INVALID) for label in images.labels]
    targets = np.array([*meaning, -1], np.int64)[images.numbers]  # the last one for number -1
    invalid = np.flatnonzero(targets == INVALID)
    if len(invalid):
        row = int(invalid[0])
        raise DataError(
            f"the label {images.labels[images.numbers[row]]!r} is not one of the {len(classes)} classes",
            where=images.encoded.name(row),
            hint=f"fix it or data.classes; the classes are {join_first(classes)}",
        )
    read = read_images(cache, images.encoded, options)
    ids = images.ids if len(read.rows) == len(images.ids) else take_ids(images.ids, read.rows)
    return read.to_samples(ids, targets[read.rows])


def _check_ids(images: LabeledImages) -> None:
    """Raise if two samples have the same id; name both."""
    if found := find_duplicate(images.ids):
        (_, row), (_, first) = found
        raise DataError(
            f"two samples have the same id {images.ids[row]!r}",
            where=f"{images.encoded.name(first)} and {images.encoded.name(row)}",
            hint="rename or remove one; of shards, data.ids: shard puts the shard's name in front",
        )
