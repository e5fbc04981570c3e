"""Sizes in a model's name."""

from __future__ import annotations

import re

from mtkd_cli.errors import UsageError

MAX_SIZE = 65536


def sizes_in(name: str, provider: str, example: str) -> list[int]:
    """Return the numbers in ``8-16-32``.

    Raises:
        UsageError: the name is not a list of positive numbers.
    """
    if not re.fullmatch(r"[0-9]{1,5}(-[0-9]{1,5}){0,31}", name) or not all(
        0 < int(n) <= MAX_SIZE for n in name.split("-")
    ):
        raise UsageError(
            f"invalid sizes {name!r}",
            where=f"{provider}:{name}",
            hint=f"use positive numbers, for example {provider}:{example}",
        )
    return [int(number) for number in name.split("-")]
