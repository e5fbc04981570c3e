"""A folder with one folder of images per class; decoded once, kept as bytes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mtkd_cli.errors import DataError, UsageError, missing_path
from mtkd_cli.interfaces import DataCache, Samples, SourceData
from mtkd_cli.reading.image_folders import folders_in, images_in
from mtkd_data.class_folders import images_of, real_folders
from mtkd_data.image_cache import kept

SPLITS = {"train": ("train",), "val": ("val", "valid", "validation"), "test": ("test",)}
"""The names that a split's folder may have."""


@dataclass(frozen=True)
class Found:
    """The image files of one split, with their ids, labels (-1: none) and folders.

    A folder is the first one below that of the class (of ``unlabelled``), ``''`` if there is none.
    """

    files: tuple[Path, ...]
    ids: tuple[str, ...]
    targets: NDArray[np.int64]
    folders: tuple[str, ...]


class ImageFolder:
    """Class folders, or split folders with class folders in them.

    Images are turned upright (EXIF), laid on white where they are transparent, resized by their
    shorter side and cropped to a square. Hidden files and folders are left out. The metadata column
    ``folder`` is the first folder below a class's, for strategies that route by it. A class folder may be a
    link, and so may a single image; a link must not lead from one class to another or out of its folder.

    Args:
        path: the folder.
        unlabelled: folder of images without labels, at any depth; None: none.
        size: side, in pixels.
        channels: 3 RGB, 1 grey.
        on_bad_sample: ``error``, or ``skip`` to leave out images that cannot be read.
        workers: threads that decode; no effect on the result.

    """

    def __init__(
        self, path: str, unlabelled: str | None, size: int, channels: int, on_bad_sample: str, workers: int
    ) -> None:
        if channels not in (1, 3):
            raise UsageError(f"channels is {channels}", where="data.channels", hint="3 RGB, or 1 grey")
        self.path, self.unlabelled = Path(path), Path(unlabelled) if unlabelled else None
        self.size, self.channels, self.workers = size, channels, workers
        self.skip = on_bad_sample == "skip"

    def load(self, cache: DataCache) -> SourceData:
        """Return the splits that there are as folders; the rest is split off by the recipe's shares."""
        for key, folder in (("path", self.path), ("unlabelled", self.unlabelled)):
            if folder is not None and not folder.is_dir():
                raise missing_path(folder, f"data.{key}", "folder")
        roots = self._roots()
        classes = tuple(self._classes(roots["train"]))
        if len(classes) < 2:
            raise DataError(
                f"{roots['train']} has {len(classes)} class folders",
                where="data.path",
                hint="put each class's images into a folder of its own",
            )
        for name, root in roots.items():
            if odd := sorted(set(self._classes(root)) - set(classes)):
                raise DataError(
                    f"the class {odd[0]!r} is in {root.name} but not in {roots['train'].name}",
                    where=str(root),
                    hint="rename or remove that folder" if name != "train" else "",
                )
        splits = {
            name: self._split(cache, name, root, classes, len(roots) > 1) for name, root in roots.items()
        }
        return SourceData(classes, splits["train"], splits.get("val"), splits.get("test"))

    def _roots(self) -> dict[str, Path]:
        """Return the folder of each split; of ``train`` alone where there are class folders only."""
        there = folders_in(self.path)
        roots = {split: self.path / n for split, names in SPLITS.items() for n in names if n in there}
        if "train" in roots:
            return roots
        if roots and len(roots) == len(self._classes(self.path)):
            raise DataError(
                f"{self.path} has {', '.join(f.name for f in roots.values())}, but no train",
                where="data.path",
                hint="call the folder of the training images train",
            )
        return {"train": self.path}

    def _classes(self, root: Path) -> list[str]:
        apart = self.unlabelled.resolve() if self.unlabelled else None
        return [name for name in folders_in(root) if (root / name).resolve() != apart]

    def _split(
        self, cache: DataCache, name: str, root: Path, classes: tuple[str, ...], named: bool
    ) -> Samples:
        found = self._find(name, root, classes, named)
        images, good = kept(cache, found.files, self.size, self.channels, self.workers, self.skip)
        ids = tuple(found.ids[number] for number in good)
        metadata = {"folder": np.array(found.folders)[good]}
        return Samples(ids, images, found.targets[good], metadata)

    def _find(self, name: str, root: Path, classes: tuple[str, ...], named: bool) -> Found:
        files: list[Path] = []
        ids: list[str] = []
        targets: list[int] = []
        folders: list[str] = []

        def add(base: Path, prefix: str, inside: Path, label: int, images: list[Path]) -> int:
            files.extend(images)
            ids.extend(f"{prefix}{_text(file.relative_to(base))}" for file in images)
            targets.extend([label] * len(images))
            folders.extend(_first_folder(file.relative_to(inside)) for file in images)
            return len(images)

        real = real_folders(root, classes)
        for label, label_name in enumerate(classes):
            inside = root / label_name
            images = images_of(root, label_name, real) if inside.is_dir() else []
            count = add(root, f"{name}/" if named else "", inside, label, images)
            if not count and name == "train":
                raise DataError(
                    f"the class {label_name!r} has no PNG or JPEG images",
                    where=str(inside),
                    hint="add images or remove that folder",
                )
        if (
            self.unlabelled
            and name == "train"
            and not add(self.unlabelled, "unlabelled/", self.unlabelled, -1, images_in(self.unlabelled))
        ):
            raise DataError("no PNG or JPEG images", where=str(self.unlabelled), hint="mend data.unlabelled")
        if not files:
            raise DataError("no PNG or JPEG images", where=str(root), hint="add images or remove that folder")
        return Found(tuple(files), tuple(ids), np.array(targets, dtype=np.int64), tuple(folders))


def _text(path: Path) -> str:
    """Return a relative path as valid UTF-8, whatever bytes its names hold."""
    return path.as_posix().encode("utf-8", "backslashreplace").decode()


def _first_folder(path: Path) -> str:
    return _text(Path(path.parts[0])) if len(path.parts) > 1 else ""
