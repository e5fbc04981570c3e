"""Types of scikit-learn's estimators in a skops file, which skops does not trust by default.

All are plain Python classes and functions without side effects. Compiled types, such as those of
nearest-neighbor trees, are not in the list: manipulated arrays in them could make scikit-learn read any
memory. Decision trees are an exception, because mtkd checks their nodes (`mtkd_teachers.tree_validation`).
"""

from __future__ import annotations

import functools
import inspect

from mtkd_teachers.tree_validation import TREES

PLAIN = (
    "numpy.dtype",  # in an imputer
    "sklearn._loss.loss.HalfTweedieLoss",
    "sklearn._loss.loss.HalfTweedieLossIdentity",
    "sklearn.calibration._CalibratedClassifier",
    "sklearn.calibration._SigmoidCalibration",
    "sklearn.calibration._TemperatureScaling",
    "sklearn.gaussian_process._gpc._BinaryGaussianProcessClassifierLaplace",
    "sklearn.metrics._scorer._CurveScorer",
    "sklearn.metrics._scorer._MultimetricScorer",
    "sklearn.metrics._scorer._PassthroughScorer",
    "sklearn.metrics._scorer._Scorer",
    "sklearn.multiclass._ConstantPredictor",
    "sklearn.neural_network._stochastic_optimizers.AdamOptimizer",
    "sklearn.neural_network._stochastic_optimizers.SGDOptimizer",
    "sklearn.utils._bunch.Bunch",
    "sklearn.utils._metadata_requests.MetadataRequest",
    "sklearn.utils._metadata_requests.MethodMetadataRequest",
)
NEIGHBORS = ("sklearn.neighbors.", "sklearn.metrics._dist_metrics.")
"""Beginnings of the names of nearest-neighbor trees and their distances."""

SCORES = (
    "chi2",
    "f_classif",
    "f_regression",
    "mutual_info_classif",
    "mutual_info_regression",
    "r_regression",
)
"""Score functions of feature selection."""


@functools.cache
def trusted_types() -> frozenset[str]:
    """Return the names of the types, including kernels, cross-validation splitters and score functions."""
    from sklearn import feature_selection, metrics, model_selection
    from sklearn.gaussian_process import kernels

    found = [getattr(feature_selection, name) for name in SCORES]
    found += [metrics.get_scorer(name)._score_func for name in metrics.get_scorer_names()]
    found += [value for _, value in inspect.getmembers(kernels, inspect.isclass)]
    found += [
        value
        for _, value in inspect.getmembers(model_selection, inspect.isclass)
        if value.__module__ == "sklearn.model_selection._split"
    ]
    own = {
        f"{each.__module__}.{each.__qualname__}" for each in found if each.__module__.startswith("sklearn.")
    }
    return frozenset({*TREES, *PLAIN, *own})
