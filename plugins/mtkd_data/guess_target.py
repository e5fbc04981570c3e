"""Guess the label column of a table, and the task that its labels fit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mtkd_cli.errors import join_first
from mtkd_cli.interfaces import FILL_IN
from mtkd_cli.reading.numbers import parse_numbers
from mtkd_cli.reading.tables import Frame

CLASS_NAMES = ("class", "label", "category", "classes", "labels", "species")
NAMES = (*CLASS_NAMES, "target", "y", "outcome")
FEW = 20
"""Maximum number of different whole numbers that may be classes."""


@dataclass(frozen=True)
class Target:
    """The label columns, and the tasks that they fit.

    Attributes:
        columns: the columns; ``()`` if the table does not say which.
        reason: reason for the columns, or what to fill in.
        tasks: tasks that the labels fit.
        task_reason: reason for the tasks.
        classes: class names, sorted, where the task is certain.
    """

    columns: tuple[str, ...]
    reason: str
    tasks: tuple[str, ...] = ("classification", "regression")
    task_reason: str = ""
    classes: tuple[str, ...] = ()

    @property
    def value(self) -> Any:
        """Value of the key ``target``."""
        if not self.columns:
            return FILL_IN
        return self.columns[0] if len(self.columns) == 1 else list(self.columns)


def guess_target(frame: Frame, names: Sequence[str], task: str, several: bool = False) -> Target:
    """Return the label columns and the tasks that they fit.

    Args:
        frame: the table.
        names: columns that may be labels.
        task: task that the user gave, or ``""``.
        several: whether all columns may be labels, as in tables of images.
    """
    named = [name for name in names if name.strip().lower() in NAMES]
    if len(names) == 1:
        found, reason = (names[0],), "the only column left"
    elif len(named) == 1:
        found, reason = (named[0],), "by the column's name"
    elif several and task in ("", "multilabel") and all(_is_binary(frame, name) for name in names):
        why = "every label column has only 0 and 1"
        return Target(tuple(names), why, ("multilabel",), why, tuple(names))
    else:
        return Target((), f"label column, one of: {join_first(named or names)}")
    missing = {"", *frame.format.missing}
    cells = sorted({cell for cell in frame.columns[found[0]] if cell not in missing})
    parsed = parse_numbers(frame.columns[found[0]], frame.format)
    if len(parsed.wrong):
        why = f"{found[0]!r} has {len(cells)} texts as labels"
        return Target(found, reason, ("classification",), why, tuple(cells))
    numbers = parsed.values[~np.isnan(parsed.values)]
    if (numbers != np.round(numbers)).any() or len(cells) > FEW:
        return Target(found, reason, ("regression",), f"{found[0]!r} has {len(cells)} different numbers")
    why = f"{found[0]!r} has {len(cells)} different whole numbers"
    if found[0].strip().lower() in CLASS_NAMES or len(cells) == 2:
        return Target(found, reason, ("classification",), why)
    return Target(found, reason, ("classification", "regression"), why)


def _is_binary(frame: Frame, name: str) -> bool:
    parsed = parse_numbers(frame.columns[name], frame.format)
    return not len(parsed.wrong) and {*parsed.values[~np.isnan(parsed.values)].tolist()} <= {0, 1}
