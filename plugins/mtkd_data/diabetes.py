"""Diabetes progression after a year, 442 patients, from scikit-learn (Efron et al., 2004)."""

from __future__ import annotations

import numpy as np

from mtkd_cli.interfaces import Column, DataCache, Samples, SourceData


class Diabetes:
    """Ten measurements each, in their own units, and one value between 25 and 346."""

    def load(self, cache: DataCache) -> SourceData:
        """Return all samples as one split."""
        from sklearn.datasets import load_diabetes

        found = load_diabetes(scaled=False)
        ids = tuple(f"diabetes-{number:03d}" for number in range(len(found.target)))
        samples = Samples(ids, found.data.astype(np.float32), found.target.astype(np.float32)[:, None])
        columns = tuple(Column(name) for name in found.feature_names)
        return SourceData(("progression",), samples, columns=columns)
