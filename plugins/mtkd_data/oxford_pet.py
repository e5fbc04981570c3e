"""Oxford-IIIT Pet's trimaps, in the layout of torchvision's ``OxfordIIITPet``; no download."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mtkd_cli.interfaces import DataCache, SourceData
from mtkd_data.decode_options import decode_options
from mtkd_data.masked_images import NO_LABEL, Pair, read_pairs
from mtkd_data.voc_segmentation import read_list, to_pair

FOLDER = "oxford-iiit-pet"
CLASSES = ("background", "pet")
CLASS_OF_VALUE = {1: 1, 2: 0, 3: NO_LABEL}
"""Class number of each value in a trimap: 1 pet, 2 background, 3 border without a label."""


class OxfordPet:
    """The list ``trainval`` as training set and ``test`` as test set.

    Args:
        path: folder that contains ``oxford-iiit-pet``, or that folder itself.
        decoding: size, channels, fit, on_bad_sample, workers and cache, see `decode_options`.
    """

    def __init__(self, path: str, **decoding: Any) -> None:
        subfolder = Path(path) / FOLDER
        self.root = subfolder if subfolder.is_dir() else Path(path)
        self.options = decode_options(**decoding)

    def load(self, cache: DataCache) -> SourceData:
        """Return the training and the test set."""
        train, test = (
            read_pairs(cache, self._pairs(name), self.options).to_samples(CLASS_OF_VALUE)
            for name in ("trainval", "test")
        )
        return SourceData(CLASSES, train, test=test, fit=self.options.fit)

    def _pairs(self, split: str) -> list[Pair]:
        masks = self.root / "annotations" / "trimaps"
        names = read_list(self.root / "annotations" / f"{split}.txt")
        return [to_pair(name, self.root / "images", masks) for name in names]
