"""Find the values of a recipe that the user must fill in before it can run."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from mtkd_cli.errors import MtkdError, RecipeKeyError
from mtkd_cli.interfaces import FILL_IN


def unfilled(raw: Any, source: str) -> list[MtkdError]:
    """Return a problem for each value of a recipe that contains the placeholder.

    Args:
        raw: the parsed recipe, after overrides.
        source: name of the recipe, for messages.
    """
    return [
        RecipeKeyError(
            f"{key} is not filled in",
            f"{source}: {key}",
            f"replace {FILL_IN} with your own value; the comment beside it says which",
        )
        for key in unfilled_keys(raw)
    ]


def unfilled_keys(value: Any, key: str = "") -> Iterator[str]:
    """Yield the dotted key of each value that contains the placeholder."""
    if isinstance(value, str) and FILL_IN in value:
        yield key
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, item in items:
        yield from unfilled_keys(item, f"{key}.{name}".lstrip("."))
