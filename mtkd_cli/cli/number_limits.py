"""Largest values of numbers on the command line, with the reason."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import typer

from mtkd_cli.errors import short_repr

Number = TypeVar("Number", int, float, int | None, float | None)


def at_most(limit: float, reason: str) -> Callable[[Number], Number]:
    """Return a callback of an option that refuses larger numbers, and NaN.

    Args:
        limit: largest allowed number.
        reason: why larger numbers do not work, as the end of the message.
    """

    def check(value: Number) -> Number:
        if value is not None and not value <= limit:
            raise typer.BadParameter(f"must be at most {limit:,}: {reason}; it is {short_repr(value)}")
        return value

    return check
