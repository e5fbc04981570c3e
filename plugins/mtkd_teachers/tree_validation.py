"""Check the trees of a loaded scikit-learn estimator: their nodes are followed without a look at bounds.

skops refuses trees by itself, for a made-up file could send scikit-learn anywhere in memory. What it
cannot know is checked here, so forests and boosted trees may be teachers.
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


def unsound(estimator: Any) -> str:
    """Return what is wrong with a tree of an estimator, ``''`` if nothing is."""
    for owner in _parts(estimator, set()):
        width = getattr(owner, "n_features_in_", None)
        members = getattr(owner, "estimators_", None)
        if members is not None and any(
            getattr(member, "n_features_in_", width) != width
            for member in np.asarray(members, dtype=object).ravel()
        ):
            return "its trees were fitted on other columns than the whole"
        tree = getattr(owner, "tree_", None)
        if tree is not None:
            nodes = tree.__getstate__()["nodes"]
            children = (nodes["left_child"], nodes["right_child"])
            if tree.n_features != width or not _is_sound(
                *children, nodes["left_child"] == LEAF, nodes["feature"], width
            ):
                return "a node of a tree points outside"
        for predictor in _flat(getattr(owner, "_predictors", [])):
            nodes = predictor.nodes
            inner = ~nodes["is_leaf"].astype(bool)
            sets = len(predictor.raw_left_cat_bitsets)
            if not _is_sound(nodes["left"], nodes["right"], ~inner, nodes["feature_idx"], width):
                return "a node of a tree points outside"
            if (nodes["bitset_idx"][inner & nodes["is_categorical"].astype(bool)] >= sets).any():
                return "a node of a tree points outside"
    return ""


def _is_sound(
    left: NDArray[Any], right: NDArray[Any], leaf: NDArray[np.bool_], feature: NDArray[Any], width: int | None
) -> bool:
    """Whether every inner node has two later nodes below it, and asks for a column that there is."""
    if width is None or not len(left):
        return False
    here = np.arange(len(left))[~leaf]
    below = np.stack([left[~leaf], right[~leaf]]).astype(np.int64)
    columns = feature[~leaf].astype(np.int64)
    return bool(
        (below > here).all()
        and (below < len(left)).all()
        and (columns >= 0).all()
        and (columns < width).all()
    )


def _parts(value: Any, seen: set[int]) -> Iterator[Any]:
    """Yield an estimator and every estimator within it."""
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
    for part in inner:
        yield from _parts(part, seen)


def _flat(nested: Any) -> Iterator[Any]:
    for part in nested:
        if isinstance(part, list | tuple):
            yield from _flat(part)
        else:
            yield part
