"""Pascal VOC's segmentation, in the layout of torchvision's ``VOCSegmentation``; no download."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mtkd_cli.errors import DataError
from mtkd_cli.interfaces import DataCache, SourceData
from mtkd_cli.reading.image_folders import file_inside, list_images
from mtkd_cli.reading.text_file import read_text
from mtkd_data import unlabeled_ids
from mtkd_data.decode_options import decode_options
from mtkd_data.masked_images import NO_LABEL, Pair, read_pairs

CLASSES = [
    "background",
    "aeroplane",
    "bicycle",
    "bird",
    "boat",
    "bottle",
    "bus",
    "car",
    "cat",
    "chair",
    "cow",
    "diningtable",
    "dog",
    "horse",
    "motorbike",
    "person",
    "pottedplant",
    "sheep",
    "sofa",
    "train",
    "tvmonitor",
]
VOID = 255


class VocSegmentation:
    """The list ``train`` as training set and ``val`` as test set; borders between objects have no label.

    Args:
        path: folder that contains ``VOCdevkit``.
        year: year of the challenge.
        unlabeled: whether to use the images of neither list as unlabeled training images.
        decoding: size, channels, fit, on_bad_sample, workers and cache, see `decode_options`.
    """

    def __init__(
        self,
        path: str,
        year: str,
        unlabeled: bool,
        **decoding: Any,
    ) -> None:
        self.root = Path(path) / "VOCdevkit" / f"VOC{year}"
        self.unlabeled = unlabeled
        self.options = decode_options(**decoding)

    def load(self, cache: DataCache) -> SourceData:
        """Return the training and the test set."""
        pairs = {split: self._pairs(split) for split in ("train", "val")}
        if self.unlabeled:
            in_lists = {pair.image.name for split in pairs.values() for pair in split}
            others = [file for file in list_images(self.root / "JPEGImages") if file.name not in in_lists]
            pairs["train"] += [Pair(f"{unlabeled_ids.PREFIX}/{file.stem}", file, None) for file in others]
        class_of_value = {VOID: NO_LABEL, **{number: number for number in range(len(CLASSES))}}
        train, test = (
            read_pairs(cache, split, self.options).to_samples(class_of_value) for split in pairs.values()
        )
        return SourceData(tuple(CLASSES), train, test=test, fit=self.options.fit)

    def _pairs(self, split: str) -> list[Pair]:
        names = read_list(self.root / "ImageSets" / "Segmentation" / f"{split}.txt")
        images, masks = self.root / "JPEGImages", self.root / "SegmentationClass"
        return [to_pair(name, images, masks) for name in names]


def read_list(file: Path) -> list[str]:
    """Return the first word of each line of a text file; empty lines and comments (#) are skipped.

    Raises:
        DataError: the file cannot be read.
    """
    hint = "extract the data set in data.path in torchvision's layout; mtkd does not download it"
    lines = read_text(file, hint).splitlines()
    return [line.split()[0] for line in lines if line.strip() and not line.startswith("#")]


def to_pair(name: str, images: Path, masks: Path) -> Pair:
    """Return the sample with the files ``NAME.jpg`` in ``images`` and ``NAME.png`` in ``masks``.

    Raises:
        DataError: a file does not exist, or is outside its folder.
    """
    hint = "fix the list of the split: it must contain file names without the suffix"
    image, mask = (
        file_inside(folder, f"{name}{suffix}", f"sample {name}", hint)
        for folder, suffix in ((images, ".jpg"), (masks, ".png"))
    )
    for file in (image, mask):
        if not file.is_file():
            raise DataError(f"no file {file}", where=f"sample {name}", hint="extract the data set again")
    return Pair(name, image, mask)
