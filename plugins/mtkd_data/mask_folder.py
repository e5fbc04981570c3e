"""A folder of images and one of masks, a mask for each image by its name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from mtkd_cli.errors import DataError, UsageError, missing_path
from mtkd_cli.interfaces import DataCache, SourceData
from mtkd_cli.reading.image_folders import folders_in, images_in
from mtkd_data.image_folder import SPLITS
from mtkd_data.masked_images import NO_LABEL, Masked, Pair, Reading, read

CLASS_FILE = "classes.txt"
VOID = 255
"""What usually marks a pixel without a label."""


class MaskFolder:
    """``images/`` and ``masks/``, or ``train/``, ``val/`` and ``test/`` with both in each.

    Args:
        path: the folder.
        classes: class names; None reads ``classes.txt``, one a line. Of one name the rest is background.
        values: number of each class in the masks; None: 0, 1, 2, ...; of two classes also 0 and 255.
        ignore: numbers of pixels without a label; None: 255.
        unlabelled: folder of images without masks, at any depth; None: none.
        missing: ``error``, or ``unlabelled`` to take images without a mask as such.
        size: side that images and masks are brought to, in pixels.
        channels: 3 RGB, 1 grey.
        on_bad_sample: ``error``, or ``skip`` to leave out images that cannot be read.
        workers: threads that decode; no effect on the result.
    """

    def __init__(
        self,
        path: str,
        classes: list[str] | None,
        values: list[int] | None,
        ignore: list[int] | None,
        unlabelled: str | None,
        missing: str,
        size: int,
        channels: int,
        on_bad_sample: str,
        workers: int,
    ) -> None:
        self.path, self.unlabelled = Path(path), Path(unlabelled) if unlabelled else None
        self.classes, self.values, self.ignore = classes, values, ignore
        self.may_miss = missing == "unlabelled"
        self.reading = Reading(size, channels, workers, on_bad_sample == "skip")

    def load(self, cache: DataCache) -> SourceData:
        """Return the splits that there are as folders; the rest is split off by the recipe's shares."""
        for key, folder in (("path", self.path), ("unlabelled", self.unlabelled)):
            if folder is not None and not folder.is_dir():
                raise missing_path(folder, f"data.{key}", "folder")
        names = self._class_names()
        roots = self._roots()
        found = {split: self._pairs(root, f"{split}/" if split else "") for split, root in roots.items()}
        first = next(iter(found))
        if self.unlabelled:
            more = images_in(self.unlabelled)
            found[first] += [Pair(f"unlabelled/{_name(f, self.unlabelled)}", f, None) for f in more]
        masked = {split: read(cache, pairs, self.reading) for split, pairs in found.items()}
        meant = self._meaning(names, masked)
        samples = {split: part.samples(meant) for split, part in masked.items()}
        return SourceData(names, samples[first], samples.get("val"), samples.get("test"))

    def _class_names(self) -> tuple[str, ...]:
        file, names = self.path / CLASS_FILE, self.classes
        if names is None:
            try:
                names = [line.strip() for line in file.read_text("utf-8").splitlines() if line.strip()]
            except (OSError, UnicodeDecodeError) as error:
                raise DataError(
                    f"there are no class names: {error}",
                    where=str(file),
                    hint="write one a line there, in the order of the masks' numbers, or give data.classes",
                ) from error
        if len(names) == 1:
            names = ["background", *names]
        if len(set(names)) < max(2, len(names)):
            raise UsageError(
                "the class names are none, or one stands twice", "data.classes", "give each class a name"
            )
        return tuple(map(str, names))

    def _roots(self) -> dict[str, Path]:
        """Return the folder of each split; of ``''`` alone where the folder is not split."""
        there = folders_in(self.path)
        if "images" in there:
            return {"": self.path}
        roots = {split: self.path / n for split, names in SPLITS.items() for n in names if n in there}
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
                raise DataError(f"{root} has no folder {name}", where="data.path", hint=f"make {root / name}")
        images, masks = (_by_stem(root / name) for name in ("images", "masks"))
        for stem, file in masks.items():
            if stem not in images:
                raise DataError(
                    "the mask has no image", str(file), f"put {stem}.png or .jpg into {root / 'images'}"
                )
        for stem, file in images.items():
            if stem not in masks and not self.may_miss:
                raise DataError(
                    "the image has no mask",
                    where=str(file),
                    hint=f"put {stem}.png into {root / 'masks'}, or set data.missing: unlabelled",
                )
        return [Pair(f"{prefix}{stem}", file, masks.get(stem)) for stem, file in images.items()]

    def _meaning(self, names: Sequence[str], masked: Mapping[str, Masked]) -> dict[int, int]:
        """Return which class each number in the masks means."""
        ignored = (VOID,) if self.ignore is None else tuple(self.ignore)
        values = self.values
        if values is None:
            seen = {value for part in masked.values() for found in part.values for value in found}
            black_and_white = len(names) == 2 and self.ignore is None and seen == {0, VOID}
            values = [0, VOID] if black_and_white else list(range(len(names)))
        if len(values) != len(names) or len(set(values)) != len(values):
            raise UsageError(
                f"data.values has {len(set(values))} numbers for {len(names)} classes",
                where="data.values",
                hint="give each class a number of its own",
            )
        return {**dict.fromkeys(ignored, NO_LABEL), **{value: place for place, value in enumerate(values)}}


def _by_stem(folder: Path) -> dict[str, Path]:
    """Return the images in a folder by their names without the ending."""
    found: dict[str, Path] = {}
    for file in images_in(folder):
        stem = _name(file.with_suffix(""), folder)
        if stem in found:
            raise DataError("two files have this name", where=str(file), hint=f"the other is {found[stem]}")
        found[stem] = file
    return found


def _name(path: Path, folder: Path) -> str:
    """Return a path within a folder as valid UTF-8, whatever bytes its names hold."""
    return path.relative_to(folder).as_posix().encode("utf-8", "backslashreplace").decode()
