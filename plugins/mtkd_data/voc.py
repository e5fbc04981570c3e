"""Boxes in Pascal VOC's format: one XML file an image."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

from mtkd_cli.errors import DataError
from mtkd_cli.interfaces import DataCache, SourceData
from mtkd_cli.reading.image_folders import file_inside
from mtkd_data.box_dataset import Box, Boxed, Form, samples_of, unlabelled

CORNERS = ("xmin", "ymin", "xmax", "ymax")
NAMES = "a line names an image of JPEGImages, without its ending"
SUFFIXES = (".jpg", ".jpeg", ".png", ".JPG", ".JPEG", ".PNG")


class Voc:
    """A folder with ``Annotations/*.xml`` and ``JPEGImages/``.

    If there is ``ImageSets/Main/train.txt``, it and ``val.txt`` and ``test.txt`` beside it say which image is
    of which split; else all are for training. Objects marked difficult are left out. Pixels are counted
    from 1, as VOC does.

    Args:
        path: the folder.
        classes: class names in order; None: all that occur in training, sorted.
        unlabelled: folder of images without labels; None: none.
        size: side that images are stretched to, in pixels.
        channels: 3 RGB, 1 grey.
        workers: threads that decode; no effect on the result.
    """

    def __init__(
        self,
        path: str,
        classes: list[str] | None,
        unlabelled: str | None,
        size: int,
        channels: int,
        workers: int,
    ) -> None:
        self.path, self.classes = Path(path), tuple(classes or ())
        self.unlabelled = Path(unlabelled) if unlabelled else None
        self.form = Form(size, channels, workers)

    def load(self, cache: DataCache) -> SourceData:
        """Return the samples of each split."""
        folder = self.path / "Annotations"
        if not folder.is_dir():
            raise DataError(
                f"no folder {folder}",
                "data.path",
                "give the folder that has Annotations and JPEGImages in it",
            )
        parsed = {name: [_parsed(file) for file in files] for name, files in self._files(folder).items()}
        classes = self.classes or tuple(
            sorted({str(o[0]) for _, objects in parsed["train"] for o in objects})
        )
        images = {
            name: [self._boxed(file, objects, classes) for file, objects in found]
            for name, found in parsed.items()
        }
        images["train"] += unlabelled(self.unlabelled) if self.unlabelled else []
        splits = {name: samples_of(cache, found, self.form) for name, found in images.items()}
        return SourceData(classes, splits["train"], splits.get("val"), splits.get("test"), fit="stretch")

    def _files(self, folder: Path) -> dict[str, list[Path]]:
        """Return the annotation files of each split."""
        sets = self.path / "ImageSets" / "Main"
        if not (sets / "train.txt").is_file():
            return {"train": sorted(folder.glob("*.xml"))}
        found = {}
        for name in ("train", "val", "test"):
            file = sets / f"{name}.txt"
            if file.is_file():
                lines = file.read_text(encoding="utf-8").splitlines()
                found[name] = [
                    file_inside(folder, f"{line.split()[0]}.xml", f"{file}, line {number}", NAMES)
                    for number, line in enumerate(lines, start=1)
                    if line.split()
                ]
        return found

    def _boxed(self, file: Path, objects: list[tuple[str, list[float]]], classes: tuple[str, ...]) -> Boxed:
        boxes = []
        for number, (name, corners) in enumerate(objects, start=1):
            where = f"{file}: object {number}"
            if name not in classes:
                raise DataError(
                    f"it is a {name!r}, which is none of the classes",
                    where,
                    f"they are {', '.join(classes[:5])}",
                )
            x1, y1, x2, y2 = corners
            boxes.append(Box((x1 - 1, y1 - 1, x2, y2), classes.index(name), where))
        images = self.path / "JPEGImages"
        there = [images / f"{file.stem}{suffix}" for suffix in SUFFIXES]
        image = next((path for path in there if path.is_file()), there[0])
        return Boxed(image, image.name, None, tuple(boxes))


def _parsed(file: Path) -> tuple[Path, list[tuple[str, list[float]]]]:
    """Return the name and the corners of each object of an annotation file."""
    try:
        text = file.read_bytes()
        if b"<!DOCTYPE" in text or b"<!ENTITY" in text:
            raise ValueError("it has declarations")
        root = ElementTree.fromstring(text)  # noqa: S314 (declarations, which could expand, are refused above)
        objects = [o for o in root.iter("object") if (o.findtext("difficult") or "0").strip() != "1"]
        found = [(_text(o, "name"), [float(_text(o, f"bndbox/{c}")) for c in CORNERS]) for o in objects]
    except (OSError, ValueError, ElementTree.ParseError) as error:
        raise DataError(
            f"the annotation cannot be read: {error}", where=str(file), hint="mend or remove it"
        ) from error
    return file, found


def _text(element: ElementTree.Element, path: str) -> str:
    text = element.findtext(path)
    if text is None or not text.strip():
        raise ValueError(f"an object has no {path}")
    return text.strip()
