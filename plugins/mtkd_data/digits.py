"""Scanned digits, 8 x 8 pixels, from scikit-learn (UCI, Alpaydin and Kaynak, 1998)."""

from __future__ import annotations

import gzip
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mtkd_cli.interfaces import DataCache, Samples, SourceData

FILE = Path("datasets", "data", "digits.csv.gz")
"""The samples in scikit-learn's folder: 64 pixels from 0 to 16 and the class."""


class Digits:
    """1,797 samples in ten classes."""

    def load(self, cache: DataCache) -> SourceData:
        """Return all samples as one split."""
        pixels, target = read_digits()
        images = np.clip(np.rint(pixels * (255 / 16)), 0, 255).astype(np.uint8)[:, None]
        ids = tuple(f"digits-{number:04d}" for number in range(len(images)))
        return SourceData(tuple(map(str, range(10))), Samples(ids, images, target.astype(np.int64)))


def read_digits() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return pixels ``[N, 8, 8]`` and classes ``[N]``.

    Reads scikit-learn's file without importing scikit-learn, which takes longer than the rest of the start.
    """
    package = find_spec("sklearn")
    folders = (package.submodule_search_locations if package else None) or []
    try:
        with gzip.open(Path(folders[0]) / FILE, "rt") as file:
            rows = np.loadtxt(file, delimiter=",")
    except (OSError, IndexError):  # another layout of scikit-learn
        from sklearn.datasets import load_digits

        found = load_digits()
        return found.images, found.target
    return rows[:, :-1].reshape(-1, 8, 8), rows[:, -1]
