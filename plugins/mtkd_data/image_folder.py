"""A folder with one folder of images per class; decoded once, kept as bytes."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import PIL
from numpy.typing import NDArray
from PIL import Image, ImageOps

from mtkd_cli import store
from mtkd_cli.errors import DataError
from mtkd_cli.interfaces import Samples, SourceData

ENDINGS = (".png", ".jpg", ".jpeg")
SPLITS = ("train", "val", "test")


class ImageFolder:
    """Class folders, or split folders with class folders in them.

    Images are turned upright (EXIF), resized by their shorter side and cropped to a square.

    Args:
        path: the folder.
        unlabelled: folder of images without labels, at any depth; None: none.
        size: side, in pixels.
        channels: 3 RGB, 1 grey.
        workers: threads that decode.

    """

    def __init__(self, path: str, unlabelled: str | None, size: int, channels: int, workers: int) -> None:
        self.path, self.unlabelled = Path(path), unlabelled
        self.size, self.channels, self.workers = size, channels, workers

    def load(self, cache: Path) -> SourceData:
        """Return the splits that there are as folders; the rest is split off by the recipe's shares."""
        if not self.path.is_dir():
            raise DataError(
                f"no folder {self.path}", where="data.path", hint="give a folder of class folders"
            )
        has_splits = (self.path / "train").is_dir()
        roots = (
            {name: self.path / name for name in SPLITS if (self.path / name).is_dir()} if has_splits else {}
        )
        roots = roots or {"train": self.path}
        classes = tuple(_folders(roots["train"]))
        if len(classes) < 2:
            raise DataError(
                f"{roots['train']} has {len(classes)} class folders",
                where="data.path",
                hint="put each class's images into a folder of its own",
            )
        for name, root in roots.items():
            if odd := sorted(set(_folders(root)) - set(classes)):
                raise DataError(
                    f"the class {odd[0]!r} is in {name} but not in train",
                    where=str(root),
                    hint="rename or remove that folder",
                )
        splits = {
            name: self._split(root, classes, name if has_splits else "") for name, root in roots.items()
        }
        return SourceData(classes, splits["train"], splits.get("val"), splits.get("test"))

    def _split(self, root: Path, classes: tuple[str, ...], name: str) -> Samples:
        found = [(file, label) for label, c in enumerate(classes) for file in _images(root / c)]
        ids = [f"{name}/{file.relative_to(root).as_posix()}".lstrip("/") for file, _ in found]
        if self.unlabelled and name in ("", "train"):
            extra = Path(self.unlabelled)
            if not extra.is_dir():
                raise DataError(f"no folder {extra}", where="data.unlabelled")
            more = _images(extra)
            found += [(file, -1) for file in more]
            ids += [f"unlabelled/{file.relative_to(extra).as_posix()}" for file in more]
        if not found:
            raise DataError("no PNG or JPEG images", where=str(root))
        inputs = self._decoded([file for file, _ in found])
        return Samples(tuple(ids), inputs, np.array([label for _, label in found], dtype=np.int64))

    def _decoded(self, files: list[Path]) -> NDArray[np.uint8]:
        """Return the images ``[N, C, S, S]``, memory-mapped, decoded once for each content."""
        with ThreadPoolExecutor(self.workers) as pool:
            hashes = list(pool.map(store.file_sha256, files))
        key = {
            "images": hashlib.sha256("".join(hashes).encode()).hexdigest(),
            "size": self.size,
            "channels": self.channels,
            "pillow": PIL.__version__,
        }

        def write(folder: Path) -> None:
            shape = (len(files), self.channels, self.size, self.size)
            pixels = np.lib.format.open_memmap(folder / "images.npy", "w+", np.uint8, shape)
            with ThreadPoolExecutor(self.workers) as pool:
                for number, image in enumerate(pool.map(self._decode, files)):
                    pixels[number] = image
            pixels.flush()

        folder = store.keep("images", key, write)
        images: NDArray[np.uint8] = np.load(folder / "images.npy", mmap_mode="r", allow_pickle=False)
        return images

    def _decode(self, file: Path) -> NDArray[np.uint8]:
        try:
            with (
                warnings.catch_warnings(action="error", category=Image.DecompressionBombWarning),
                Image.open(file) as opened,
            ):
                upright = ImageOps.exif_transpose(opened)
                image = ImageOps.fit(
                    _eight_bit(upright).convert("RGB" if self.channels == 3 else "L"),
                    (self.size, self.size),
                    Image.Resampling.BICUBIC,
                )
        except (
            OSError,
            SyntaxError,
            ValueError,
            Image.DecompressionBombError,
            Image.DecompressionBombWarning,
        ) as error:
            raise DataError(
                f"the image cannot be read: {error}", where=str(file), hint="remove or replace it"
            ) from error
        return np.atleast_3d(np.asarray(image)).transpose(2, 0, 1)


def _eight_bit(image: Image.Image) -> Image.Image:
    """Return a 16-bit grey image at 8 bits; PIL's own conversion clips it to white."""
    if not image.mode.startswith("I"):
        return image
    return Image.fromarray((np.asarray(image).astype(np.int64) >> 8).clip(0, 255).astype(np.uint8))


def _folders(root: Path) -> Iterator[str]:
    yield from sorted(
        entry.name for entry in root.iterdir() if entry.is_dir() and not entry.name.startswith(".")
    )


def _images(root: Path) -> list[Path]:
    return (
        sorted(f for f in root.rglob("*") if f.suffix.lower() in ENDINGS and f.is_file())
        if root.is_dir()
        else []
    )
