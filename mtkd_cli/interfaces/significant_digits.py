"""Numbers with significant digits, for files and for people: the scale of a target is anyone's choice."""

from __future__ import annotations

import math
from dataclasses import fields, is_dataclass, replace
from typing import Any

KEPT = 7
"""Significant digits of a number in a report."""


def rounded(value: float | None) -> float | None:
    """Return a number with `KEPT` significant digits; None for what is not finite."""
    return float(f"{value:.{KEPT}g}") if value is not None and math.isfinite(value) else None


def significant(value: Any) -> Any:
    """Return a value with `KEPT` significant digits in each of its floats, also within containers."""
    if is_dataclass(value) and not isinstance(value, type):
        return replace(value, **{each.name: significant(getattr(value, each.name)) for each in fields(value)})
    if isinstance(value, dict):
        return {name: significant(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(significant(part) for part in value)
    return float(f"{value:.{KEPT}g}") if isinstance(value, float) else value


def without_nan(value: Any) -> Any:
    """Return a value as JSON has it: None for each number that is not finite."""
    if isinstance(value, dict):
        return {name: without_nan(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [without_nan(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def digits(size: float) -> str:
    """Return how numbers of some size are written: ``.4f`` where four decimals show enough of them."""
    if size == 0 or not math.isfinite(size) or 0.001 <= abs(size) < 10_000:
        return ".4f"
    return ".4g" if abs(size) < 1 else ".7g"


def shown(value: float | None, size: float | None = None, sign: str = "") -> str:
    """Return a number for people; ``undefined`` for one that is not there.

    Args:
        value: the number.
        size: of what it is shown with: the score, for a difference of scores. Default: its own.
        sign: ``+`` writes it of positive numbers too.
    """
    if value is None or not math.isfinite(value):
        return "undefined"
    return f"{value:{sign}{digits(value if size is None else size)}}"
