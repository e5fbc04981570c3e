"""Images with masks as samples; every value in a mask must be a class or an ignored value."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mtkd_cli.errors import DataError, UsageError
from mtkd_cli.interfaces import DataCache, Samples
from mtkd_data.image_cache import cached_images
from mtkd_data.mask_files import cached_masks

NO_LABEL = -1


@dataclass(frozen=True)
class Pair:
    """Id, image file and mask file of a sample; the mask is None for unlabeled samples."""

    id: str
    image: Path
    mask: Path | None


@dataclass(frozen=True)
class DecodeOptions:
    """Side of images and masks in pixels, channels, decoding threads, whether to skip unreadable images."""

    size: int
    channels: int
    workers: int
    skip: bool = False

    def __post_init__(self) -> None:
        if self.channels not in (1, 3):
            raise UsageError(
                f"invalid number of channels {self.channels}",
                where="data.channels",
                hint="use 3 for RGB or 1 for gray",
            )


@dataclass(frozen=True)
class MaskedImages:
    """Decoded images and masks; the masks contain the values of the files.

    Attributes:
        pairs: N samples, without those whose images are unreadable.
        images: ``[N, C, S, S]``.
        masks: ``[M, S, S]``, of the samples that have a mask.
        values: values in each of the M uncropped mask files.
    """

    pairs: tuple[Pair, ...]
    images: NDArray[np.uint8]
    masks: NDArray[np.uint16]
    values: list[list[int]]

    def to_samples(self, classes: Mapping[int, int]) -> Samples:
        """Return the samples with class numbers as labels.

        Args:
            classes: class number of each value in the masks, -1 for values to ignore.

        Raises:
            DataError: a mask contains a value that is not in ``classes``.
        """
        with_mask = [number for number, pair in enumerate(self.pairs) if pair.mask is not None]
        for number, values in zip(with_mask, self.values, strict=True):
            for value in values:
                if value not in classes:
                    valid = sorted(key for key, label in classes.items() if label != NO_LABEL)
                    raise DataError(
                        f"unknown value {value} in a mask; the classes are {_format_values(valid)}",
                        where=f"sample {self.pairs[number].id}: {self.pairs[number].mask}",
                        hint="fix the mask, or data.classes, data.values or data.ignore",
                    )
        # lookup table from values to classes, applied to all masks at once: [M, S, S] -> [M, S, S]
        table = np.full(2**16, NO_LABEL, dtype=np.int16)
        for value, label in classes.items():
            table[value] = label
        targets = np.full((len(self.pairs), *self.images.shape[2:]), NO_LABEL, dtype=np.int16)
        if with_mask:
            targets[with_mask] = table[self.masks]
        ids, files = tuple(pair.id for pair in self.pairs), tuple(pair.image for pair in self.pairs)
        return Samples(ids, self.images, targets, files=files)


def read_pairs(cache: DataCache, pairs: Sequence[Pair], options: DecodeOptions) -> MaskedImages:
    """Return the images and masks of samples.

    Raises:
        DataError: a file cannot be read, or a mask and its image differ in size.
    """
    files = [pair.image for pair in pairs]
    images, readable = cached_images(
        cache, files, options.size, options.channels, options.workers, options.skip
    )
    good = tuple(pairs[number] for number in readable)
    with_mask = [(pair.mask, pair.image) for pair in good if pair.mask is not None]
    masks, values = cached_masks(cache, with_mask, options.size, options.workers)
    return MaskedImages(good, images, masks, values)


def _format_values(values: Sequence[int]) -> str:
    if len(values) > 2 and list(values) == list(range(values[0], values[-1] + 1)):
        return f"{values[0]} to {values[-1]}"
    return ", ".join(map(str, values))
