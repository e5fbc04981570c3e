"""Boxes in Pascal VOC format: one XML file per image."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from mtkd_cli.errors import DataError
from mtkd_cli.interfaces import DataCache, SourceData
from mtkd_cli.reading import read_regular
from mtkd_cli.reading.image_folders import as_utf8, file_inside
from mtkd_cli.reading.images import ENDINGS
from mtkd_cli.reading.text_file import read_text
from mtkd_data.box_dataset import Box, BoxedImage, to_samples, unlabeled_images
from mtkd_data.decode_options import decode_options

CORNERS = ("xmin", "ymin", "xmax", "ymax")
LIST_HINT = "each line must be the name of an image in JPEGImages, without suffix"
SUFFIXES = tuple(dict.fromkeys([".jpg", ".jpeg", ".png", ".JPG", ".JPEG", ".PNG", *ENDINGS]))


class Voc:
    """A folder with ``Annotations/*.xml`` and ``JPEGImages/``.

    If ``ImageSets/Main/train.txt`` exists, the lists ``train.txt``, ``val.txt`` and ``test.txt`` define the
    splits; else all images are training images. Objects marked difficult are left out. As in VOC, the first
    pixel is 1.

    Args:
        path: folder of the data set.
        classes: class names in order; None: all in the training set, sorted.
        unlabeled: folder of unlabeled images, or None.
        decoding: size, channels, fit, on_bad_sample, workers and cache, see `decode_options`.
    """

    def __init__(
        self,
        path: str,
        classes: list[str] | None,
        unlabeled: str | None,
        **decoding: Any,
    ) -> None:
        self.path, self.classes = Path(path), tuple(classes or ())
        self.unlabeled = Path(unlabeled) if unlabeled else None
        self.options = decode_options(**decoding)

    def load(self, cache: DataCache) -> SourceData:
        """Return the samples of each split."""
        folder = self.path / "Annotations"
        if not folder.is_dir():
            raise DataError(
                f"no folder {folder}",
                "data.path",
                "give the folder that contains Annotations and JPEGImages",
            )
        parsed = {name: [_parse(file) for file in files] for name, files in self._files(folder).items()}
        classes = self.classes or tuple(
            sorted({str(o[0]) for _, objects in parsed["train"] for o in objects})
        )
        images = {
            name: [self._to_boxed_image(file, objects, classes) for file, objects in split]
            for name, split in parsed.items()
        }
        images["train"] += unlabeled_images(self.unlabeled) if self.unlabeled else []
        splits = {name: to_samples(cache, split, self.options) for name, split in images.items()}
        return SourceData(
            classes, splits["train"], splits.get("val"), splits.get("test"), fit=self.options.fit
        )

    def _files(self, folder: Path) -> dict[str, list[Path]]:
        """Return the annotation files of each split."""
        sets = self.path / "ImageSets" / "Main"
        if not (sets / "train.txt").is_file():
            return {"train": sorted(folder.glob("*.xml"))}
        files = {}
        for name in ("train", "val", "test"):
            file = sets / f"{name}.txt"
            if file.is_file():
                lines = read_text(file, LIST_HINT).splitlines()
                files[name] = [
                    file_inside(folder, f"{line.split()[0]}.xml", f"{file}, line {number}", LIST_HINT)
                    for number, line in enumerate(lines, start=1)
                    if line.split()
                ]
        return files

    def _to_boxed_image(
        self, file: Path, objects: list[tuple[str, list[float]]], classes: tuple[str, ...]
    ) -> BoxedImage:
        boxes = []
        for number, (name, corners) in enumerate(objects, start=1):
            where = f"{file}: object {number}"
            if name not in classes:
                raise DataError(
                    f"{name!r} is not one of the classes",
                    where,
                    f"the classes are {', '.join(classes[:5])}",
                )
            x1, y1, x2, y2 = corners
            # corners are pixel numbers from 1, both inclusive
            boxes.append(Box((x1 - 1, y1 - 1, x2, y2), classes.index(name), where))
        images = self.path / "JPEGImages"
        candidates = [images / f"{file.stem}{suffix}" for suffix in SUFFIXES]
        image = next((path for path in candidates if path.is_file()), candidates[0])
        return BoxedImage(image, as_utf8(image.name), None, tuple(boxes))


def _parse(file: Path) -> tuple[Path, list[tuple[str, list[float]]]]:
    """Return the file, and name and corners of each object in it.

    Raises:
        DataError: the file is not a valid annotation.
    """
    try:
        text = read_regular(file)
        if b"<!DOCTYPE" in text or b"<!ENTITY" in text:
            raise ValueError("it contains a DOCTYPE or ENTITY declaration")
        root = ElementTree.fromstring(text)  # noqa: S314 (entity declarations are rejected above)
        objects = [o for o in root.iter("object") if (o.findtext("difficult") or "0").strip() != "1"]
        found = [(_text(o, "name"), [float(_text(o, f"bndbox/{c}")) for c in CORNERS]) for o in objects]
    except (OSError, ValueError, ElementTree.ParseError) as error:
        raise DataError(
            f"the annotation cannot be read: {error}", where=str(file), hint="fix or remove it"
        ) from error
    return file, found


def _text(element: ElementTree.Element, path: str) -> str:
    text = element.findtext(path)
    if text is None or not text.strip():
        raise ValueError(f"an object has no {path}")
    return text.strip()
