"""Labels, answers and table rows of single samples, in words."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mtkd_cli.data.dataset import Dataset
from mtkd_cli.interfaces import Prediction
from mtkd_cli.interfaces.significant_digits import round_significant

MAX_PARTS = 4
"""Maximum number of classes, boxes or values in a text."""
NO_BREAK = "\N{NO-BREAK SPACE}"
MAX_VALUES = 4
"""Maximum number of columns of a table that are shown."""
MIN_SCORE = 0.3
"""Minimum score of the boxes that are shown."""


def answer_text(prediction: Prediction) -> str:
    """Return a prediction in words: a class, the classes of a map, boxes, or values."""
    if prediction.boxes is not None:
        found = [(name, score) for name, score, *_ in prediction.boxes if score >= MIN_SCORE]
        return _join([f"{name}{NO_BREAK}({score:.2f})" for name, score in found]) or "no boxes"
    if prediction.mask is not None:
        return _shares(prediction.scores)
    first = next(iter(prediction.facts.values()), "")
    if isinstance(first, str):
        return first
    return _values({name: float(value) for name, value in prediction.facts.items()})


def label_text(target: NDArray[Any], classes: Sequence[str]) -> str:
    """Return a label in words.

    Args:
        target: the label of one sample, as `Samples.targets` has them: a class number, values ``[T]``, a mask
            ``[H, W]``, or boxes ``[M, 5]``.
        classes: class names, or names of the values.
    """
    if target.dtype.kind != "f":
        if target.ndim == 0:
            return classes[int(target)]
        counts = np.bincount(target[target >= 0].ravel(), minlength=len(classes))
        return _shares(dict(zip(classes, (counts / max(1, counts.sum())).tolist(), strict=True)))
    if target.ndim == 2:
        names = Counter(classes[int(label)] for label in target[:, 4] if label >= 0)
        return _join([name if n == 1 else f"{n} × {name}" for name, n in names.items()]) or "no boxes"
    return _values(dict(zip(classes, np.atleast_1d(target).tolist(), strict=False)))


def telling_values(data: Dataset, inputs: NDArray[Any]) -> list[dict[str, float | str]]:
    """Return the columns of each table row that are farthest from the training mean; nothing for images.

    Distances are in standard deviations. Categories follow if there are few numbers.

    Args:
        data: the data, with names, means and deviations of the columns.
        inputs: ``[B, F]`` table rows, or ``[B, C, H, W]`` images.
    """
    if inputs.ndim != 2:
        return [{} for _ in inputs]
    columns, mean, std = data.input.columns, np.array(data.input.mean), np.array(data.input.std)
    is_number = np.array([not column.categories for column in columns])
    found = []
    for row in inputs.astype(np.float64):
        distance = np.where(is_number & np.isfinite(row), np.abs(row - mean) / std, -1.0)
        distance[~np.isfinite(row)] = -math.inf
        order = np.argsort(-distance, kind="stable")[:MAX_VALUES]
        kept = [index for index in order if np.isfinite(distance[index])]
        found.append({columns[i].name: _cell(row[i], columns[i].categories) for i in kept})
    return found


def _cell(value: float, categories: Sequence[str]) -> float | str:
    if categories:
        return categories[int(value)] if 0 <= value < len(categories) else "-"
    return float(round_significant(float(value)))


def _shares(shares: Mapping[str, float]) -> str:
    """Return ``background (93 %), cat (7 %)``, the largest first; without those below half a percent."""
    present = sorted(((share, name) for name, share in shares.items() if share >= 0.005), reverse=True)
    return _join([f"{name}{NO_BREAK}({100 * share:.0f}{NO_BREAK}%)" for share, name in present])


def _values(values: Mapping[str, float]) -> str:
    """Return a single value, or ``name value, ...``: of many the largest."""
    if len(values) == 1:
        return _number(next(iter(values.values())))
    items: Iterable[tuple[str, float]] = values.items()
    if len(values) > MAX_PARTS:
        items = sorted(items, key=lambda item: -math.inf if math.isnan(item[1]) else item[1], reverse=True)
    return _join([f"{name} {_number(value)}" for name, value in items])


def _join(parts: Sequence[str]) -> str:
    more = f", and {len(parts) - MAX_PARTS} more" if len(parts) > MAX_PARTS else ""
    return ", ".join(parts[:MAX_PARTS]) + more


def _number(value: float) -> str:
    if not math.isfinite(value):
        return "-"
    return f"{value:.4g}" if abs(value) < 10_000 else f"{value:.7g}"
