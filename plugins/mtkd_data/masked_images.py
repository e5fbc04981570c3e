"""Images with masks as samples; every value in a mask must be a class or an ignored value."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mtkd_cli.errors import DataError
from mtkd_cli.interfaces import DataCache, Placement, Samples, place
from mtkd_cli.reading.encoded_images import ImageFiles
from mtkd_cli.reading.image_reader import DecodeOptions
from mtkd_data.image_cache import SplitImages, read_images
from mtkd_data.mask_files import cached_masks, read_mask

NO_LABEL = -1


@dataclass(frozen=True)
class Pair:
    """Id, image file and mask file of a sample; the mask is None for unlabeled samples."""

    id: str
    image: Path
    mask: Path | None


@dataclass(frozen=True)
class MaskLabels:
    """Class numbers of the untouched masks; implements `mtkd_cli.interfaces.FrameLabels`.

    Attributes:
        masks: mask file of each row; None for unlabeled samples.
        sizes: ``[M, 2]``, height and width of the images.
        class_of_value: ``[65536]``, class number of each value in the masks, -1: no label.
    """

    masks: tuple[Path | None, ...]
    sizes: NDArray[np.int32]
    class_of_value: NDArray[np.int16]

    def __getitem__(self, row: int) -> NDArray[np.int16]:
        """Return the mask of a row, ``[H, W]``.

        Raises:
            DataError: the file cannot be read.
        """
        file = self.masks[row]
        if file is None:
            return np.full(tuple(self.sizes[row]), NO_LABEL, dtype=np.int16)
        return self.class_of_value[read_mask(file)]


@dataclass(frozen=True)
class MaskedImages:
    """Decoded images and masks; the masks contain the values of the files.

    Attributes:
        pairs: N samples, without those whose images are unreadable.
        images: images of the samples.
        masks: ``[M, H, W]``, masks on the grid of the samples that have one.
        values: values in each of the M mask files.
    """

    pairs: tuple[Pair, ...]
    images: SplitImages
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
        # lookup table from values to classes: [H, W] -> [H, W]
        table = np.full(2**16, NO_LABEL, dtype=np.int16)
        for value, label in classes.items():
            table[value] = label
        options, sizes = self.images.options, self.images.sizes
        targets = np.full((len(self.pairs), *options.grid), NO_LABEL, dtype=np.int16)
        for number, mask in zip(with_mask, self.masks, strict=True):  # one at a time: the masks stay on disk
            targets[number] = table[mask]
        if options.fit == "pad":
            for target, (height, width) in zip(targets, sizes.tolist(), strict=True):
                _unlabel_padding(target, place((height, width), options.grid, options.fit))
        return self.images.to_samples(
            [pair.id for pair in self.pairs],
            targets,
            [pair.image for pair in self.pairs],
            labels=MaskLabels(tuple(pair.mask for pair in self.pairs), sizes, table),
        )


def _unlabel_padding(target: NDArray[np.int16], placement: Placement) -> None:
    """Remove the labels outside the image from a mask on the grid ``[H, W]``, in place."""
    (top, left), (rows, columns) = placement.offset, placement.resized
    inside = target[int(top) : int(top + rows), int(left) : int(left + columns)].copy()
    target[:] = NO_LABEL
    target[int(top) : int(top + rows), int(left) : int(left + columns)] = inside


def read_pairs(cache: DataCache, pairs: Sequence[Pair], options: DecodeOptions) -> MaskedImages:
    """Return the images and masks of samples.

    Raises:
        DataError: a file cannot be read, or a mask and its image differ in size.
    """
    images = read_images(cache, ImageFiles([pair.image for pair in pairs], cache), options)
    good = tuple(pairs[row] for row in images.rows)
    with_mask = [index for index, pair in enumerate(good) if pair.mask is not None]
    files = [pair.mask for pair in good if pair.mask is not None]
    masks, values = cached_masks(cache, files, images.sizes[with_mask], options)
    return MaskedImages(good, images, masks, values)


def _format_values(values: Sequence[int]) -> str:
    if len(values) > 2 and list(values) == list(range(values[0], values[-1] + 1)):
        return f"{values[0]} to {values[-1]}"
    return ", ".join(map(str, values))
