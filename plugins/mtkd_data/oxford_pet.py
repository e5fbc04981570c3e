"""Oxford-IIIT Pet's trimaps, in the layout of torchvision's ``OxfordIIITPet``; no download."""

from __future__ import annotations

from pathlib import Path

from mtkd_cli.interfaces import DataCache, SourceData
from mtkd_data.masked_images import NO_LABEL, DecodeOptions, Pair, read_pairs
from mtkd_data.voc_segmentation import read_list, to_pair

FOLDER = "oxford-iiit-pet"
CLASSES = ("background", "pet")
CLASS_OF_VALUE = {1: 1, 2: 0, 3: NO_LABEL}
"""Class number of each value in a trimap: 1 pet, 2 background, 3 border without a label."""


class OxfordPet:
    """The list ``trainval`` as training set and ``test`` as test set.

    Args:
        path: folder that contains ``oxford-iiit-pet``, or that folder itself.
        size: side of images and masks, in pixels.
        channels: 3 for RGB, 1 for gray.
        on_bad_sample: ``error``, or ``skip`` to skip unreadable images.
        workers: number of decoding threads; does not change the result.
    """

    def __init__(self, path: str, size: int, channels: int, on_bad_sample: str, workers: int) -> None:
        subfolder = Path(path) / FOLDER
        self.root = subfolder if subfolder.is_dir() else Path(path)
        self.options = DecodeOptions(size, channels, workers, on_bad_sample == "skip")

    def load(self, cache: DataCache) -> SourceData:
        """Return the training and the test set."""
        train, test = (
            read_pairs(cache, self._pairs(name), self.options).to_samples(CLASS_OF_VALUE)
            for name in ("trainval", "test")
        )
        return SourceData(CLASSES, train, test=test)

    def _pairs(self, split: str) -> list[Pair]:
        masks = self.root / "annotations" / "trimaps"
        names = read_list(self.root / "annotations" / f"{split}.txt")
        return [to_pair(name, self.root / "images", masks) for name in names]
