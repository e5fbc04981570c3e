"""A folder of images and a folder of masks with the same names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mtkd_cli.errors import DataError, UsageError, missing_path
from mtkd_cli.interfaces import DataCache, SourceData
from mtkd_cli.reading.class_names import read_class_names
from mtkd_cli.reading.image_folders import as_utf8, list_folders, list_images
from mtkd_data import unlabeled_ids
from mtkd_data.decode_options import decode_options
from mtkd_data.image_folder import SPLITS
from mtkd_data.masked_images import NO_LABEL, MaskedImages, Pair, read_pairs

CLASS_FILE = "classes.txt"
VOID = 255
"""Usual value of pixels without a label."""

MOST_VALUE = 65_535
"""Largest value of a 16-bit mask."""


class MaskFolder:
    """``images/`` and ``masks/``, or ``train/``, ``val/`` and ``test/`` that contain both.

    Args:
        path: folder of the data set.
        classes: class names; None reads ``classes.txt``, see `read_class_names`. A single name gets a
            background class.
        values: value of each class in the masks; None: 0, 1, 2, ..., or 0 and 255 for black and white masks.
        ignore: values of pixels without a label; None: 255.
        unlabeled: folder of images without masks, at any depth, or None.
        missing: ``error``, or ``unlabeled`` to use images without a mask as unlabeled images.
        decoding: size, channels, fit, on_bad_sample, workers and cache, see `decode_options`.
    """

    def __init__(
        self,
        path: str,
        classes: list[str] | None,
        values: list[int] | None,
        ignore: list[int] | None,
        unlabeled: str | None,
        missing: str,
        **decoding: Any,
    ) -> None:
        self.path, self.unlabeled = Path(path), Path(unlabeled) if unlabeled else None
        self.classes, self.values, self.ignore = classes, values, ignore
        self.allow_missing = missing != "error"
        self.options = decode_options(**decoding)

    def load(self, cache: DataCache) -> SourceData:
        """Return the splits that have folders; the recipe's fractions split off the others."""
        for key, folder in (("path", self.path), ("unlabeled", self.unlabeled)):
            if folder is not None and not folder.is_dir():
                raise missing_path(folder, f"data.{key}", "folder")
        names = self._class_names()
        roots = self._roots()
        pairs = {split: self._pairs(root, f"{split}/" if split else "") for split, root in roots.items()}
        first = next(iter(pairs))
        if self.unlabeled:
            more = list_images(self.unlabeled)
            pairs[first] += [
                Pair(f"{unlabeled_ids.PREFIX}/{_name(f, self.unlabeled)}", f, None) for f in more
            ]
        masked = {split: read_pairs(cache, listed, self.options) for split, listed in pairs.items()}
        class_of_value = self._class_of_value(names, masked)
        samples = {split: part.to_samples(class_of_value) for split, part in masked.items()}
        return SourceData(
            names, samples[first], samples.get("val"), samples.get("test"), fit=self.options.fit
        )

    def _class_names(self) -> tuple[str, ...]:
        file = self.path / CLASS_FILE
        if self.classes is None and not file.is_file():
            raise DataError(
                "no class names",
                where=str(file),
                hint="write one name per line, in the order of the masks' values, or set data.classes",
            )
        names = read_class_names(file) if self.classes is None else tuple(map(str, self.classes))
        if len(names) == 1:
            names = ("background", *names)
        if len(set(names)) < max(2, len(names)):
            raise UsageError(
                "class names are missing or not unique", "data.classes", "give each class a different name"
            )
        return names

    def _roots(self) -> dict[str, Path]:
        """Return the folder of each split; only ``''`` if there are no split folders."""
        folders = list_folders(self.path)
        if "images" in folders:
            return {"": self.path}
        roots = {split: self.path / n for split, names in SPLITS.items() for n in names if n in folders}
        if "train" not in roots:
            raise DataError(
                f"{self.path} has no folder images",
                where="data.path",
                hint="put images into images/ and their masks into masks/, or both into train/, val/, test/",
            )
        return roots

    def _pairs(self, root: Path, prefix: str) -> list[Pair]:
        for name in ("images", "masks"):
            if not (root / name).is_dir():
                raise DataError(
                    f"{root} has no folder {name}", where="data.path", hint=f"create {root / name}"
                )
        images, masks = (_by_stem(root / name) for name in ("images", "masks"))
        for stem, file in masks.items():
            if stem not in images:
                raise DataError(
                    "the mask has no image", str(file), f"put {stem}.png or .jpg into {root / 'images'}"
                )
        for stem, file in images.items():
            if stem not in masks and not self.allow_missing:
                raise DataError(
                    "the image has no mask",
                    where=str(file),
                    hint=f"put {stem}.png into {root / 'masks'}, or set data.missing: unlabeled",
                )
        return [Pair(f"{prefix}{stem}", file, masks.get(stem)) for stem, file in images.items()]

    def _class_of_value(self, names: Sequence[str], masked: Mapping[str, MaskedImages]) -> dict[int, int]:
        """Return the class number of each value in the masks, -1 for values to ignore."""
        ignored = [VOID] if self.ignore is None else _pixel_values(self.ignore, "ignore")
        values = None if self.values is None else _pixel_values(self.values, "values")
        if values is None:
            seen = {value for part in masked.values() for in_file in part.values for value in in_file}
            black_and_white = len(names) == 2 and self.ignore is None and seen == {0, VOID}
            values = [0, VOID] if black_and_white else list(range(len(names)))
        if len(values) != len(names) or len(set(values)) != len(values):
            raise UsageError(
                f"data.values has {len(set(values))} different values for {len(names)} classes",
                where="data.values",
                hint="give each class a different value",
            )
        both = [value for value in ignored if value in values]
        if both and self.ignore is not None:
            raise UsageError(
                f"the pixel value {both[0]} is the class {names[values.index(both[0])]!r} and ignored",
                where="data.ignore",
                hint="leave it out of data.ignore, or give the classes other values with data.values",
            )
        return {**dict.fromkeys(ignored, NO_LABEL), **{value: index for index, value in enumerate(values)}}


def _pixel_values(given: Sequence[object], key: str) -> list[int]:
    """Return the values of pixels in an option.

    Raises:
        UsageError: one of them is not a whole number from 0 to 65,535.
    """
    for value in given:
        if type(value) is not int or not 0 <= value <= MOST_VALUE:
            raise UsageError(
                f"{value!r} is not the value of a pixel",
                f"data.{key}",
                f"use whole numbers from 0 to {MOST_VALUE}",
            )
    return [value for value in given if isinstance(value, int)]


def _by_stem(folder: Path) -> dict[str, Path]:
    """Return the images in a folder by their paths without the suffix."""
    files: dict[str, Path] = {}
    for file in list_images(folder):
        stem = _name(file.with_suffix(""), folder)
        if stem in files:
            raise DataError(
                f"duplicate name {stem}", where=str(file), hint=f"rename it or {files[stem].name}"
            )
        files[stem] = file
    return files


def _name(path: Path, folder: Path) -> str:
    return as_utf8(path.relative_to(folder))
