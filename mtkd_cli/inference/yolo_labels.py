"""Predicted boxes in YOLO format: one label file per image, and ``data.yaml`` with the class names."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from mtkd_cli.errors import UsageError
from mtkd_cli.files import atomic
from mtkd_cli.inference.predict import Answered

IMAGES, LABELS, DATA = "images", "labels", "data.yaml"


@dataclass(frozen=True)
class LabelFolder:
    """The place of each label file.

    Attributes:
        folder: folder of the data set.
        labels: label file of each image, by the path of the image.
        images: folders that the data set expects the images in, relative to ``folder``.
    """

    folder: Path
    labels: Mapping[str, Path]
    images: tuple[str, ...]


def plan_labels(folder: Path, files: Sequence[Path], given: Sequence[Path]) -> LabelFolder:
    """Return where the labels of images go: ``labels/a.txt`` for ``a.jpg`` in a given folder.

    As in YOLO, a folder ``images`` below a given folder becomes ``labels``.

    Args:
        folder: folder of the data set, which may contain the images already.
        files: image files.
        given: files and folders that the user named.

    Raises:
        UsageError: a file exists, or two images have the same label file.
    """
    roots = [path for path in given if path.is_dir()]
    labels: dict[str, Path] = {}
    owners: dict[Path, Path] = {}
    places: dict[str, None] = {}
    for file in files:
        root = next((root for root in roots if file.is_relative_to(root)), file.parent)
        parts = list(file.relative_to(root).parts)
        if IMAGES not in parts[:-1]:
            parts.insert(0, IMAGES)
        last = max(index for index, part in enumerate(parts[:-1]) if part == IMAGES)
        places["/".join(parts[: last + 1])] = None
        parts[last] = LABELS
        label = (folder / Path(*parts)).with_suffix(".txt")
        if label in owners:
            raise UsageError(
                f"two images have the label file {label}: {owners[label]} and {file}",
                where="PATH",
                hint="pass them in separate commands, each with its own --output",
            )
        owners[label] = file
        labels[str(file)] = label
    for written in (folder / DATA, *labels.values()):
        if written.exists():
            raise UsageError(f"{written} exists", where="--output", hint="choose another folder")
    return LabelFolder(folder, labels, tuple(places))


def write_labels(
    plan: LabelFolder, answers: Iterable[Answered], classes: Sequence[str], threshold: float
) -> tuple[int, int]:
    """Write the label files, then ``data.yaml``, and return the number of images and of boxes."""
    images = boxes = 0
    for answered in answers:
        lines = label_lines(answered, classes, threshold)
        path = plan.labels[answered.file]
        with atomic.disk_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("".join(lines), encoding="ascii")
        images, boxes = images + 1, boxes + len(lines)
    content = {"names": dict(enumerate(classes)), "train": list(plan.images)}
    text = yaml.safe_dump(content, sort_keys=False, allow_unicode=True)
    with atomic.disk_errors(plan.folder / DATA):
        atomic.write_bytes(plan.folder / DATA, text.encode())
    return images, boxes


def label_lines(answered: Answered, classes: Sequence[str], threshold: float) -> list[str]:
    """Return a line for each box: class number, center x and y, width and height as shares, score.

    Boxes are clipped to the image.
    """
    prediction = answered.prediction
    found: dict[str, str] = {}
    for name, score, *corners in (prediction.boxes or ()) if prediction else ():
        x1, y1, x2, y2 = (min(max(corner, 0.0), 1.0) for corner in corners)
        shares = [f"{share:.8f}" for share in ((x1 + x2) / 2, (y1 + y2) / 2, x2 - x1, y2 - y1)]
        if score >= threshold and float(shares[2]) > 0 and float(shares[3]) > 0:
            box = " ".join((str(classes.index(name)), *shares))
            found.setdefault(box, f"{box} {score:.6f}\n")  # boxes come best first
    return list(found.values())
