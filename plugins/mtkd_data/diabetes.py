"""Diabetes progression after a year, 442 patients, from scikit-learn (Efron et al., 2004)."""

from __future__ import annotations

import numpy as np

from mtkd_cli.interfaces import Column, DataCache, Samples, SourceData


class Diabetes:
    """Ten measurements per patient, in their own units, and a target between 25 and 346."""

    def load(self, cache: DataCache) -> SourceData:
        """Return all samples as one split."""
        from sklearn.datasets import load_diabetes

        data = load_diabetes(scaled=False)
        ids = tuple(f"diabetes-{index:03d}" for index in range(len(data.target)))
        samples = Samples(ids, data.data.astype(np.float32), data.target.astype(np.float32)[:, None])
        columns = tuple(Column(name) for name in data.feature_names)
        return SourceData(("progression",), samples, columns=columns)
