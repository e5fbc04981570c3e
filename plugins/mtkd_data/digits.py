"""Scanned digits, 8 x 8 pixels, from scikit-learn (UCI, Alpaydin and Kaynak, 1998)."""

from __future__ import annotations

import numpy as np

from mtkd_cli.interfaces import DataCache, Samples, SourceData


class Digits:
    """1,797 samples in ten classes."""

    def load(self, cache: DataCache) -> SourceData:
        """Return all samples as one split."""
        from sklearn.datasets import load_digits

        digits = load_digits()
        images = np.clip(np.rint(digits.images * (255 / 16)), 0, 255).astype(np.uint8)[:, None]
        ids = tuple(f"digits-{number:04d}" for number in range(len(images)))
        return SourceData(tuple(map(str, range(10))), Samples(ids, images, digits.target.astype(np.int64)))
