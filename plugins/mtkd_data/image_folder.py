"""A folder with one folder of images per class."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mtkd_cli.errors import DataError, UsageError, missing_path
from mtkd_cli.interfaces import DataCache, Samples, SourceData
from mtkd_cli.reading.encoded_images import ImageFiles
from mtkd_cli.reading.image_folders import as_utf8, list_folders, list_images
from mtkd_cli.reading.images import KINDS
from mtkd_data import unlabeled_ids
from mtkd_data.class_folders import class_images, resolve_folders
from mtkd_data.decode_options import decode_options
from mtkd_data.image_cache import read_images
from mtkd_data.label_texts import class_names

SPLITS = {"train": ("train",), "val": ("val", "valid", "validation"), "test": ("test",)}
"""Accepted folder names of each split."""

UNLABELED = ("unlabeled", "unlabelled")
NONE = "none"
"""Value of the option ``unlabeled`` for no folder."""


@dataclass(frozen=True)
class SplitFiles:
    """The image files of one split.

    Attributes:
        files: N image files.
        ids: N sample ids.
        targets: ``[N]`` class numbers, -1 for unlabeled images.
        folders: for each file, the first folder below its class folder (or below ``unlabeled``), or ``''``.
    """

    files: tuple[Path, ...]
    ids: tuple[str, ...]
    targets: NDArray[np.int64]
    folders: tuple[str, ...]


class ImageFolder:
    """Class folders, or split folders that contain class folders.

    Images are rotated upright (EXIF), get a white background where they are transparent, and are resized;
    by default by their shorter side, and the middle is kept. Hidden files and folders are ignored. The
    metadata column ``folder`` is the first folder below the class folder, for strategies such as ``route``.
    Class folders and single images may be links; a link must not lead to another class or out of its folder.

    A split without class folders, whose images are directly in its folder, has no labels. A folder
    ``unlabeled`` beside split folders is used for training, too.

    Args:
        path: folder with class folders or split folders.
        unlabeled: folder of unlabeled images, at any depth; None: ``unlabeled`` beside split folders, if it
            exists; ``none``: no folder.
        classes: class names in order, or the name of a file of them; None: those of the folders, sorted.
        decoding: size, channels, fit, on_bad_sample, workers and cache, see `decode_options`.
    """

    def __init__(
        self, path: str, unlabeled: str | None, classes: list[Any] | None = None, **decoding: Any
    ) -> None:
        self.path, self.classes = Path(path), classes
        self.find_unlabeled = unlabeled is None
        self.unlabeled = Path(unlabeled) if unlabeled and unlabeled != NONE else None
        self.options = decode_options(**decoding)

    def load(self, cache: DataCache) -> SourceData:
        """Return the splits that have folders; the recipe's fractions split off the others."""
        for key, folder in (("path", self.path), ("unlabeled", self.unlabeled)):
            if folder is not None and not folder.is_dir():
                raise missing_path(folder, f"data.{key}", "folder")
        roots = self._roots()
        if self.find_unlabeled:
            self.unlabeled = _find_unlabeled(self.path, roots, cache.say)
        classes = self._class_names(roots)
        splits = {
            name: self._split(cache, name, root, classes, len(roots) > 1) for name, root in roots.items()
        }
        return SourceData(
            classes, splits["train"], splits.get("val"), splits.get("test"), fit=self.options.fit
        )

    def _roots(self) -> dict[str, Path]:
        """Return the folder of each split; only ``train`` if the folder contains class folders."""
        folders = list_folders(self.path)
        roots = {split: self.path / n for split, names in SPLITS.items() for n in names if n in folders}
        if "train" in roots:
            return roots
        if roots and len(roots) == len(self._classes(self.path)):
            raise DataError(
                f"{self.path} has {', '.join(f.name for f in roots.values())}, but no train",
                where="data.path",
                hint="name the folder of the training images train",
            )
        return {"train": self.path}

    def _class_names(self, roots: Mapping[str, Path]) -> tuple[str, ...]:
        """Return the class names: those of the option, or the folders of the first split that has some.

        Raises:
            DataError: there are too few classes, or a split has others.
        """
        first = next((root for root in roots.values() if self._classes(root)), roots["train"])
        classes = class_names(self.classes, self.path) if self.classes else tuple(self._classes(first))
        if classes is None or len(classes) < 2:
            raise DataError(
                f"{first} has {len(self._classes(first))} class folders; at least 2 are needed",
                where="data.path",
                hint="put the images of each class into a separate folder; without labels, set data.classes",
            )
        known_from = "data.classes" if self.classes else first.name
        for root in roots.values():
            if unexpected := sorted(set(self._classes(root)) - set(classes)):
                raise DataError(
                    f"the class {unexpected[0]!r} is in {root.name} but not in {known_from}",
                    where=str(root),
                    hint="rename or remove the folder",
                )
        return classes

    def _classes(self, root: Path) -> dict[str, str]:
        """Return the folder of each class; bytes of a folder's name that are not UTF-8 are escaped."""
        excluded = self.unlabeled.resolve() if self.unlabeled else None
        folders = [name for name in list_folders(root) if (root / name).resolve() != excluded]
        return {as_utf8(name): name for name in folders}

    def _split(
        self, cache: DataCache, name: str, root: Path, classes: tuple[str, ...], named: bool
    ) -> Samples:
        listed = self._list_files(name, root, classes, named)
        images = read_images(cache, ImageFiles(listed.files, cache), self.options)
        return images.to_samples(
            [listed.ids[row] for row in images.rows],
            listed.targets[images.rows],
            [listed.files[row] for row in images.rows],
            {"folder": np.array(listed.folders)[images.rows]},
        )

    def _list_files(self, name: str, root: Path, classes: tuple[str, ...], named: bool) -> SplitFiles:
        """Return the files of a split; ``named`` says whether ids start with its name."""
        files: list[Path] = []
        ids: list[str] = []
        targets: list[int] = []
        folders: list[str] = []

        def add(base: Path, prefix: str, inside: Path, label: int, images: list[Path]) -> int:
            files.extend(images)
            ids.extend(f"{prefix}{as_utf8(file.relative_to(base))}" for file in images)
            targets.extend([label] * len(images))
            folders.extend(_first_folder(file.relative_to(inside)) for file in images)
            return len(images)

        prefix = f"{name}/" if named else ""
        if not self._classes(root):
            add(root, prefix, root, -1, [file for file in list_images(root) if file.parent == root])
        folder_of_class = self._classes(root)
        real = resolve_folders(root, list(folder_of_class.values()))
        for label, label_name in enumerate(classes):
            if label_name not in folder_of_class:
                continue
            folder = folder_of_class[label_name]
            inside = root / folder
            count = add(root, prefix, inside, label, class_images(root, folder, real))
            if not count and name == "train":
                raise DataError(
                    f"the class {label_name!r} has no {KINDS} images",
                    where=str(inside),
                    hint="add images, or remove the folder",
                )
        if (
            self.unlabeled
            and name == "train"
            and not add(
                self.unlabeled, f"{unlabeled_ids.PREFIX}/", self.unlabeled, -1, list_images(self.unlabeled)
            )
        ):
            raise DataError(f"no {KINDS} images", where=str(self.unlabeled), hint="fix data.unlabeled")
        if not files:
            raise DataError(f"no {KINDS} images", where=str(root), hint="add images, or remove the folder")
        return SplitFiles(tuple(files), tuple(ids), np.array(targets, dtype=np.int64), tuple(folders))


def _find_unlabeled(path: Path, roots: Mapping[str, Path], say: Callable[[str], None]) -> Path | None:
    """Return the folder ``unlabeled`` beside split folders, if there is one; show what it is used for.

    Raises:
        UsageError: it exists in both spellings.
    """
    found = [path / name for name in list_folders(path) if name in UNLABELED]
    if not found:
        return None
    if roots["train"] == path:
        say(f"{found[0]} is a class: if its images have no label, set data.unlabeled: {found[0]}")
        return None
    if len(found) > 1:
        raise UsageError(
            f"{found[0]} and {found[1]} may be the unlabeled images",
            "data.unlabeled",
            "set it to one of them",
        )
    say(f"{found[0]} is used for training without labels; data.unlabeled: {NONE} ignores it")
    return found[0]


def _first_folder(path: Path) -> str:
    return as_utf8(Path(path.parts[0])) if len(path.parts) > 1 else ""
