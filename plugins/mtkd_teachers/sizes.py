"""Sizes written in a model's name."""

from __future__ import annotations

import re

from mtkd_cli.errors import UsageError

LARGEST = 65536


def sizes_in(name: str, provider: str, example: str) -> list[int]:
    """Return the numbers in ``8-16-32``.

    Raises:
        UsageError: the name is no row of positive numbers.
    """
    if not re.fullmatch(r"[0-9]{1,5}(-[0-9]{1,5}){0,31}", name) or not all(
        0 < int(n) <= LARGEST for n in name.split("-")
    ):
        raise UsageError(
            f"{name!r} gives no sizes", where=f"{provider}:{name}", hint=f"write {provider}:{example}"
        )
    return [int(number) for number in name.split("-")]
