"""Pascal VOC's segmentation, as torchvision's ``VOCSegmentation`` leaves it. Nothing is downloaded."""

from __future__ import annotations

from pathlib import Path

from mtkd_cli.errors import DataError
from mtkd_cli.interfaces import DataCache, SourceData
from mtkd_cli.reading.image_folders import file_inside, images_in
from mtkd_data.masked_images import NO_LABEL, Pair, Reading, read

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
    """The lists ``train`` to train on and ``val`` to test on; borders between objects have no label.

    Args:
        path: the folder that holds ``VOCdevkit``.
        year: of the challenge.
        unlabelled: whether images in neither list take part, without labels.
        size: side that images and masks are brought to, in pixels.
        channels: 3 RGB, 1 grey.
        on_bad_sample: ``error`` or ``skip``.
        workers: threads that decode.
    """

    def __init__(
        self,
        path: str,
        year: str,
        unlabelled: bool,
        size: int,
        channels: int,
        on_bad_sample: str,
        workers: int,
    ) -> None:
        self.root = Path(path) / "VOCdevkit" / f"VOC{year}"
        self.unlabelled = unlabelled
        self.reading = Reading(size, channels, workers, on_bad_sample == "skip")

    def load(self, cache: DataCache) -> SourceData:
        """Return the two splits."""
        pairs = {split: self._listed(split) for split in ("train", "val")}
        if self.unlabelled:
            known = {pair.image.name for part in pairs.values() for pair in part}
            more = [file for file in images_in(self.root / "JPEGImages") if file.name not in known]
            pairs["train"] += [Pair(f"unlabelled/{file.stem}", file, None) for file in more]
        meant = {VOID: NO_LABEL, **{number: number for number in range(len(CLASSES))}}
        train, test = (read(cache, part, self.reading).samples(meant) for part in pairs.values())
        return SourceData(tuple(CLASSES), train, test=test)

    def _listed(self, split: str) -> list[Pair]:
        names = listed(self.root / "ImageSets" / "Segmentation" / f"{split}.txt")
        images, masks = self.root / "JPEGImages", self.root / "SegmentationClass"
        return [paired(name, images, masks) for name in names]


def listed(file: Path) -> list[str]:
    """Return the first word of each line of a list.

    Raises:
        DataError: there is no such list.
    """
    try:
        lines = file.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(
            f"the list cannot be read: {error}",
            where=str(file),
            hint="unpack the data set below data.path as torchvision does; nothing is downloaded here",
        ) from error
    return [line.split()[0] for line in lines if line.strip() and not line.startswith("#")]


def paired(name: str, images: Path, masks: Path) -> Pair:
    """Return a listed sample, whose files are ``NAME.jpg`` in one folder and ``NAME.png`` in the other.

    Raises:
        DataError: a file that is not there, or is outside its folder.
    """
    hint = "fix the list of the split: it names files without their ending"
    image, mask = (
        file_inside(folder, f"{name}{ending}", f"sample {name}", hint)
        for folder, ending in ((images, ".jpg"), (masks, ".png"))
    )
    for file in (image, mask):
        if not file.is_file():
            raise DataError(f"no file {file}", where=f"sample {name}", hint="unpack the data set again")
    return Pair(name, image, mask)
