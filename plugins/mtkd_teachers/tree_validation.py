"""Check the trees of a loaded scikit-learn estimator, which follows their nodes without bounds checks.

skops does not trust trees: a manipulated file could make scikit-learn read any memory. With these checks,
forests and boosted trees can be teachers.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

TREES = (
    "sklearn.tree._tree.Tree",
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
)
LEAF = -1


def find_invalid_tree(estimator: Any) -> str:
    """Return the problem with a tree in an estimator, ``''`` if all trees are valid."""
    for owner in _estimators_in(estimator, set()):
        width = getattr(owner, "n_features_in_", None)
        members = getattr(owner, "estimators_", None)
        if members is not None and any(
            hasattr(member, "tree_") and getattr(member, "n_features_in_", None) != width
            for member in np.asarray(members, dtype=object).ravel()
        ):
            return "its trees were fitted on a different number of columns"
        tree = getattr(owner, "tree_", None)
        if tree is not None:
            nodes = tree.__getstate__()["nodes"]
            children = (nodes["left_child"], nodes["right_child"])
            if tree.n_features != width or not _is_valid(
                *children, nodes["left_child"] == LEAF, nodes["feature"], width
            ):
                return "a tree node has an invalid index"
        for predictor in _flatten(getattr(owner, "_predictors", [])):
            nodes = predictor.nodes
            inner = ~nodes["is_leaf"].astype(bool)
            sets = len(predictor.raw_left_cat_bitsets)
            if not _is_valid(nodes["left"], nodes["right"], ~inner, nodes["feature_idx"], width):
                return "a tree node has an invalid index"
            if (nodes["bitset_idx"][inner & nodes["is_categorical"].astype(bool)] >= sets).any():
                return "a tree node has an invalid index"
    return ""


def _is_valid(
    left: NDArray[Any], right: NDArray[Any], leaf: NDArray[np.bool_], feature: NDArray[Any], width: int | None
) -> bool:
    """Whether every inner node has two children with larger indices, and a valid column."""
    if width is None or not len(left):
        return False
    index = np.arange(len(left))[~leaf]
    children = np.stack([left[~leaf], right[~leaf]]).astype(np.int64)
    columns = feature[~leaf].astype(np.int64)
    return bool(
        (children > index).all()
        and (children < len(left)).all()
        and (columns >= 0).all()
        and (columns < width).all()
    )


def _estimators_in(value: Any, seen: set[int]) -> Iterator[Any]:
    """Yield an estimator and all estimators in it."""
    if id(value) in seen:
        return
    seen.add(id(value))
    if isinstance(value, dict):
        inner = list(value.values())
    elif isinstance(value, list | tuple | set):
        inner = list(value)
    elif isinstance(value, np.ndarray):
        inner = list(value.ravel()) if value.dtype == object else []
    elif hasattr(value, "__dict__") and not isinstance(value, type):
        yield value
        inner = list(vars(value).values())
    else:
        inner = []
    for item in inner:
        yield from _estimators_in(item, seen)


def _flatten(nested: Any) -> Iterator[Any]:
    for item in nested:
        if isinstance(item, list | tuple):
            yield from _flatten(item)
        else:
            yield item
