"""Fashion-MNIST (Xiao, Rasul, Vollgraf, arXiv 1708.07747): gzipped IDX files, or torchvision's download."""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mtkd_cli.errors import DataError, first_line
from mtkd_cli.interfaces import DataCache, Samples, SourceData

CLASSES = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)
MAX_BYTES = 2**26
"""Maximum uncompressed size of a file, in bytes; the largest file of the data set has 47 million."""

PREFIXES = {"train": "train", "test": "t10k"}


class FashionMnist:
    """60,000 training and 10,000 test samples.

    Args:
        path: folder of the IDX files; None downloads them into the cache.
        samples: number of training samples, from the first on; None: all.
    """

    def __init__(self, path: str | None, samples: int | None) -> None:
        self.path, self.samples = path, samples

    def load(self, cache: DataCache) -> SourceData:
        """Return the training and the test split."""
        folder = Path(self.path) if self.path else _download(cache.folder)
        return SourceData(CLASSES, _split(folder, "train", self.samples), test=_split(folder, "test", None))


def _split(folder: Path, name: str, samples: int | None) -> Samples:
    images = read_idx(folder / f"{PREFIXES[name]}-images-idx3-ubyte.gz")
    labels = read_idx(folder / f"{PREFIXES[name]}-labels-idx1-ubyte.gz")
    if images.ndim != 3 or labels.ndim != 1 or len(images) != len(labels):
        raise DataError(
            f"{len(images)} images but {len(labels)} labels",
            where=str(folder),
            hint="download the files again",
        )
    images, labels = images[:samples], labels[:samples]
    ids = tuple(f"{name}-{number:05d}" for number in range(len(images)))
    return Samples(ids, images[:, None], labels.astype(np.int64))


def read_idx(path: Path) -> NDArray[np.uint8]:
    """Return the array in a gzipped IDX file of unsigned bytes.

    Raises:
        DataError: the file does not exist, is damaged, or is not an IDX file of bytes.
    """
    try:
        with gzip.open(path) as file:
            content = file.read(MAX_BYTES + 1)
    except FileNotFoundError as error:
        raise DataError(
            f"no file {path.name}",
            where=str(path.parent),
            hint="set data.path to the folder of the four -ubyte.gz files",
        ) from error
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"the file is damaged: {error}", where=str(path), hint="download it again") from error
    if len(content) > MAX_BYTES:
        raise DataError("the file is too large for this data set", str(path), "download it again")
    # header: 0, 0, type (8: unsigned byte), number of dimensions, then each size as big-endian int32
    dimensions = content[3] if len(content) > 3 and content[:3] == b"\0\0\x08" else 0
    header = 4 + 4 * dimensions
    shape = tuple(np.frombuffer(content[4:header], dtype=">i4")) if len(content) >= header else ()
    if not dimensions or len(content) - header != int(np.prod(shape, dtype=np.int64)):
        raise DataError("not an IDX file of bytes", where=str(path), hint="download it again")
    return np.frombuffer(content, dtype=np.uint8, offset=header).reshape(shape)


def _download(folder: Path) -> Path:
    from torchvision.datasets import FashionMNIST

    try:
        FashionMNIST(str(folder), download=True)
    except (OSError, RuntimeError) as error:
        raise DataError(
            "Fashion-MNIST cannot be downloaded",
            where=first_line(error),
            hint="set data.path to the folder of its four -ubyte.gz files",
        ) from error
    return folder / "FashionMNIST" / "raw"
