"""Images with masks as samples: what number stands for which class is checked before anything else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mtkd_cli.errors import DataError, UsageError
from mtkd_cli.interfaces import DataCache, Samples
from mtkd_data.image_cache import kept
from mtkd_data.mask_files import kept_masks

NO_LABEL = -1


@dataclass(frozen=True)
class Pair:
    """A sample: its id, its image, and its mask, None if it has none."""

    id: str
    image: Path
    mask: Path | None


@dataclass(frozen=True)
class Reading:
    """How images and masks are read: side in pixels, channels, threads, whether bad images are skipped."""

    size: int
    channels: int
    workers: int
    skip: bool = False

    def __post_init__(self) -> None:
        if self.channels not in (1, 3):
            raise UsageError(f"channels is {self.channels}", where="data.channels", hint="3 RGB, or 1 grey")


@dataclass(frozen=True)
class Masked:
    """Samples whose masks still hold the files' own numbers.

    Attributes:
        pairs: the samples, those with unreadable images left out.
        images: ``[N, C, S, S]`` and the row of each sample.
        masks: ``[M, S, S]``, of the samples that have one.
        values: the numbers in the whole file of each.
    """

    pairs: tuple[Pair, ...]
    images: NDArray[np.uint8]
    masks: NDArray[np.uint16]
    values: list[list[int]]

    def samples(self, classes: Mapping[int, int]) -> Samples:
        """Return the samples, labels by ``classes``: from numbers to classes, -1 where none is meant.

        Raises:
            DataError: a number that stands for nothing; the mask is named.
        """
        with_mask = [number for number, pair in enumerate(self.pairs) if pair.mask is not None]
        for number, values in zip(with_mask, self.values, strict=True):
            for value in values:
                if value not in classes:
                    known = sorted(key for key, label in classes.items() if label != NO_LABEL)
                    raise DataError(
                        f"the mask has the value {value}; the classes are {_in_words(known)}",
                        where=f"sample {self.pairs[number].id}: {self.pairs[number].mask}",
                        hint="mend the mask, or data.classes, data.values or data.ignore",
                    )
        table = np.full(2**16, NO_LABEL, dtype=np.int16)
        for value, label in classes.items():
            table[value] = label
        targets = np.full((len(self.pairs), *self.images.shape[2:]), NO_LABEL, dtype=np.int16)
        if with_mask:
            targets[with_mask] = table[self.masks]
        return Samples(tuple(pair.id for pair in self.pairs), self.images, targets)


def read(cache: DataCache, pairs: Sequence[Pair], reading: Reading) -> Masked:
    """Return the images and masks of samples.

    Raises:
        DataError: a file that cannot be read, or sizes that differ.
    """
    files = [pair.image for pair in pairs]
    images, readable = kept(cache, files, reading.size, reading.channels, reading.workers, reading.skip)
    good = tuple(pairs[number] for number in readable)
    there = [(pair.mask, pair.image) for pair in good if pair.mask is not None]
    masks, values = kept_masks(cache, there, reading.size, reading.workers)
    return Masked(good, images, masks, values)


def _in_words(values: Sequence[int]) -> str:
    if len(values) > 2 and list(values) == list(range(values[0], values[-1] + 1)):
        return f"{values[0]} to {values[-1]}"
    return ", ".join(map(str, values))
