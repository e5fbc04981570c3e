"""Recognize folders of images and masks, for ``mtkd init --data``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mtkd_cli.errors import DataError
from mtkd_cli.interfaces import DataGuess
from mtkd_cli.reading.image_folders import list_folders, list_images
from mtkd_data.guess_images import decoding, spread
from mtkd_data.image_folder import SPLITS
from mtkd_data.mask_files import read_mask
from mtkd_data.mask_folder import CLASS_FILE, VOID

MASKS = 200
"""Maximum number of masks whose values are read."""

MAX_CLASSES = 256


def guess(path: Path, task: str) -> list[DataGuess]:
    """Return the images and masks of a folder with ``images/`` and ``masks/``, or with splits of both."""
    if not path.is_dir():
        return []
    folders = list_folders(path)
    roots = {split: path / n for split, names in SPLITS.items() for n in names if n in folders}
    roots = {"train": path} if "images" in folders else roots
    if "train" not in roots or any(not (roots["train"] / name).is_dir() for name in ("images", "masks")):
        return []
    images, masks = (list_images(roots["train"] / name) for name in ("images", "masks"))
    options, why = decoding(images)
    found, reasons, checks = _classes(path, masks)
    stems = {mask.relative_to(roots["train"] / "masks").with_suffix("") for mask in masks}
    missing = [i for i in images if i.relative_to(roots["train"] / "images").with_suffix("") not in stems]
    if missing:
        found["missing"], reasons["missing"] = "unlabeled", f"{len(missing)} images have no mask"
    return [
        DataGuess(
            {"path": str(path), **found, **options},
            f"{len(images):,} images and {len(masks):,} masks",
            ("segmentation",),
            why={"task": "each image has a mask", **reasons, **why},
            splits=tuple(split for split in roots if split != "train"),
            checks=tuple(checks),
        )
    ]


def _classes(path: Path, masks: Sequence[Path]) -> tuple[dict[str, Any], dict[str, str], list[str]]:
    """Return the options of the classes, their reasons, and what to check."""
    if (path / CLASS_FILE).is_file():
        return {}, {}, [f"the class names come from {path / CLASS_FILE}, in the order of the masks' values"]
    values: set[int] = set()
    sample = spread(masks, MASKS)
    try:
        for file in sample:
            values |= set(np.unique(read_mask(file)).tolist())
    except DataError as error:
        return {}, {}, [f"{error.where}: {error.what}; {error.hint}"]
    if values == {0, VOID}:
        return (
            {"classes": ["background", "object"]},
            {"classes": "the masks are black and white; write the object's name"},
            ["the class names of the masks are invented: write yours"],
        )
    numbers = sorted(values - {VOID})[:MAX_CLASSES]
    names = ["background" if number == 0 else f"class-{number}" for number in numbers]
    options: dict[str, Any] = {"classes": names}
    why = {"classes": f"invented: the masks have the values {', '.join(map(str, numbers))}; write your names"}
    if numbers != list(range(len(numbers))):
        options["values"], why["values"] = numbers, "value of each class in the masks"
    read = f"{len(sample)} of {len(masks)} masks" if len(sample) < len(masks) else "the masks"
    checks = [f"the class names are invented from the values in {read}: write yours"]
    if VOID in values:
        checks.append(f"pixels with the value {VOID} have no label")
    return options, why, checks
