"""Oxford-IIIT Pet's trimaps, as torchvision's ``OxfordIIITPet`` leaves them. Nothing is downloaded."""

from __future__ import annotations

from pathlib import Path

from mtkd_cli.interfaces import DataCache, SourceData
from mtkd_data.masked_images import NO_LABEL, Pair, Reading, read
from mtkd_data.voc_segmentation import listed, paired

FOLDER = "oxford-iiit-pet"
CLASSES = ("background", "pet")
MEANT = {1: 1, 2: 0, 3: NO_LABEL}
"""Numbers of a trimap: pet, background, and the border between, which has no label."""


class OxfordPet:
    """The lists ``trainval`` to train on and ``test`` to test on.

    Args:
        path: the folder that holds ``oxford-iiit-pet``, or that folder itself.
        size: side that images and masks are brought to, in pixels.
        channels: 3 RGB, 1 grey.
        on_bad_sample: ``error`` or ``skip``.
        workers: threads that decode.
    """

    def __init__(self, path: str, size: int, channels: int, on_bad_sample: str, workers: int) -> None:
        inside = Path(path) / FOLDER
        self.root = inside if inside.is_dir() else Path(path)
        self.reading = Reading(size, channels, workers, on_bad_sample == "skip")

    def load(self, cache: DataCache) -> SourceData:
        """Return the two splits."""
        train, test = (
            read(cache, self._listed(name), self.reading).samples(MEANT) for name in ("trainval", "test")
        )
        return SourceData(CLASSES, train, test=test)

    def _listed(self, split: str) -> list[Pair]:
        masks = self.root / "annotations" / "trimaps"
        names = listed(self.root / "annotations" / f"{split}.txt")
        return [paired(name, self.root / "images", masks) for name in names]
