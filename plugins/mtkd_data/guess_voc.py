"""Recognize the folders of Pascal VOC, for ``mtkd init --data``."""

from __future__ import annotations

from pathlib import Path

from mtkd_cli.interfaces import FILL_IN, DataGuess
from mtkd_cli.reading.image_folders import list_images
from mtkd_data.guess_images import decoding

LARGEST = 320


def guess_boxes(path: Path, task: str) -> list[DataGuess]:
    """Return the boxes in a folder with ``Annotations`` and ``JPEGImages``."""
    annotations = sorted((path / "Annotations").glob("*.xml"))
    if not annotations or not (path / "JPEGImages").is_dir():
        return []
    options, why = decoding(list_images(path / "JPEGImages"), LARGEST)
    lists = path / "ImageSets" / "Main"
    has_lists = (lists / "train.txt").is_file()
    return [
        DataGuess(
            {"path": str(path), **options},
            f"{len(annotations):,} XML files in Annotations, and JPEGImages",
            ("detection",),
            why={"task": "the annotations are boxes", **why},
            splits=tuple(s for s in ("val", "test") if has_lists and (lists / f"{s}.txt").is_file()),
            checks=() if has_lists else (f"{lists} has no train.txt, so all images are training images",),
        )
    ]


def guess_masks(path: Path, task: str) -> list[DataGuess]:
    """Return the masks in a folder that contains ``VOCdevkit``."""
    years = [
        folder.name.removeprefix("VOC")
        for folder in sorted((path / "VOCdevkit").glob("VOC*"))
        if (folder / "SegmentationClass").is_dir()
    ]
    if not years:
        return []
    several = len(years) > 1
    images = list_images(path / "VOCdevkit" / f"VOC{years[-1]}" / "JPEGImages")
    options, why = decoding(images)
    return [
        DataGuess(
            {"path": str(path), "year": FILL_IN if several else years[0], **options},
            f"VOCdevkit with masks of {', '.join(years)}",
            ("segmentation",),
            why={
                "task": "SegmentationClass contains masks",
                "year": f"one of: {', '.join(years)}" if several else "the only one",
                **why,
            },
            splits=("test",),
        )
    ]
