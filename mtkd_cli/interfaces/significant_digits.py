"""Rounding to significant digits, for files and for display; targets may have any scale."""

from __future__ import annotations

import math
from dataclasses import fields, is_dataclass, replace
from typing import Any

KEPT = 7
"""Number of significant digits in a report."""


def round_or_none(value: float | None) -> float | None:
    """Round a number to `KEPT` significant digits; return None for None and non-finite numbers."""
    return float(f"{value:.{KEPT}g}") if value is not None and math.isfinite(value) else None


def round_significant(value: Any) -> Any:
    """Round all floats in a value to `KEPT` significant digits, also in dataclasses, dicts and lists."""
    if is_dataclass(value) and not isinstance(value, type):
        return replace(
            value, **{each.name: round_significant(getattr(value, each.name)) for each in fields(value)}
        )
    if isinstance(value, dict):
        return {name: round_significant(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(round_significant(part) for part in value)
    return float(f"{value:.{KEPT}g}") if isinstance(value, float) else value


def without_nan(value: Any) -> Any:
    """Replace all non-finite floats in a value by None, for JSON."""
    if isinstance(value, dict):
        return {name: without_nan(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [without_nan(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def digits(size: float) -> str:
    """Return the format of numbers of a given size: ``.4f`` if four decimals suffice."""
    if size == 0 or not math.isfinite(size) or 0.001 <= abs(size) < 10_000:
        return ".4f"
    return ".4g" if abs(size) < 1 else ".7g"


MIN_DIGITS, MAX_DIGITS = 2, 4
"""Digits of a number that is measured on few or on many samples."""


def supported_digits(size: float, samples: int) -> str:
    """Return the format of numbers of some size that are measured on some samples: ``.3f`` of a share of 540.

    As many digits as the number of samples has, so that one sample changes about the last one.
    """
    if not math.isfinite(size) or size == 0:
        return digits(size)
    kept = min(max(len(str(samples)), MIN_DIGITS), MAX_DIGITS)
    before = math.ceil(math.log10(abs(size)))  # digits before the point; 0 for a share
    if not -3 <= before <= 4:
        return f".{kept}g" if before < 0 else ".7g"
    return f".{max(kept - before, 0)}f"


def format_number(
    value: float | None, size: float | None = None, sign: str = "", samples: int | None = None
) -> str:
    """Return a number as text; ``undefined`` for None and non-finite numbers.

    Args:
        value: the number.
        size: number that determines the digits: the score, for a difference of scores. Default: ``value``.
        sign: ``+`` to show the sign of positive numbers.
        samples: number of samples that it is measured on, which limits its digits; None: unknown.
    """
    if value is None or not math.isfinite(value):
        return "undefined"
    size = value if size is None else size
    if samples is None:
        return f"{value:{sign}{digits(size)}}"
    return f"{value:{sign}z{supported_digits(size, samples)}}"  # z: no negative zero
