"""Which baselines a run trains: ``--baseline none|alone|all``. Imports no torch."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any


class BaselineChoice(StrEnum):
    """The baselines to train: none, the student alone, or all that suit the recipe."""

    NONE = "none"
    ALONE = "alone"
    ALL = "all"


def parse_choice(given: bool | str) -> BaselineChoice:
    """Return the choice that Python code gave: a word, or whether baselines are wanted at all."""
    if isinstance(given, bool):
        return BaselineChoice.ALL if given else BaselineChoice.NONE
    return BaselineChoice(given)


def read_choice(manifest: Mapping[str, Any]) -> BaselineChoice | None:
    """Return the choice that a run began with; None if it has not begun.

    Runs of mtkd 0.2 and before have true or false; their only baseline was the student alone.
    """
    found = manifest.get("baseline")
    if isinstance(found, bool):
        return BaselineChoice.ALONE if found else BaselineChoice.NONE
    return None if found is None else BaselineChoice(found)
