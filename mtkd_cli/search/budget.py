"""The budget of a search: the largest latency and size that a student may have."""

from __future__ import annotations

import math
import re

from mtkd_cli.errors import UsageError

TIMES = {"us": 0.001, "ms": 1.0, "s": 1000.0}
"""Milliseconds of each unit of time."""
SIZES = {"b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9}
"""Bytes of each unit of size, as reports print them."""


def parse_latency(text: str) -> float:
    """Return the milliseconds of ``2ms``, ``500us`` or ``0.5 s``; infinity for an empty text.

    Raises:
        UsageError: it is not a positive number with a unit of time.
    """
    return _parse(text, TIMES, "--latency", "for example 2ms or 500us")


def parse_size(text: str) -> float:
    """Return the bytes of ``1MB`` or ``200 kB``; infinity for an empty text.

    Raises:
        UsageError: it is not a positive number with a unit of size.
    """
    return _parse(text, SIZES, "--size", "for example 1MB or 200kB")


def _parse(text: str, units: dict[str, float] | dict[str, int], option: str, hint: str) -> float:
    if not text:
        return math.inf
    found = re.fullmatch(r"\s*(\d+\.?\d*|\.\d+)\s*([a-z]+)\s*", text.replace("µ", "u").lower())
    if found is None or found[2] not in units or not float(found[1]) > 0:
        raise UsageError(f"invalid value {text!r}", where=option, hint=hint)
    return float(found[1]) * units[found[2]]
