"""Find the texts of a recipe that no run can use: placeholders to fill in, and NUL characters."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from mtkd_cli.errors import MtkdError, RecipeKeyError
from mtkd_cli.interfaces import FILL_IN


def unusable_texts(raw: Any, source: str) -> list[MtkdError]:
    """Return a problem for each value of a recipe that contains the placeholder or NUL.

    Args:
        raw: the parsed recipe, after overrides.
        source: name of the recipe, for messages.
    """
    problems: list[MtkdError] = [
        RecipeKeyError(
            f"{key} is not filled in",
            f"{source}: {key}",
            f"replace {FILL_IN} with your own value; the comment beside it says which",
        )
        for key in unfilled_keys(raw)
    ]
    for key in _keys_with(raw, "\0"):
        problems.append(
            RecipeKeyError(f"{key} contains the character NUL", f"{source}: {key}", "remove the character")
        )
    return problems


def unfilled_keys(value: Any) -> Iterator[str]:
    """Yield the dotted key of each value that contains the placeholder."""
    return _keys_with(value, FILL_IN)


def _keys_with(value: Any, text: str, key: str = "") -> Iterator[str]:
    """Yield the dotted key of each value that contains a text."""
    if isinstance(value, str) and text in value:
        yield key
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, item in items:
        yield from _keys_with(item, text, f"{key}.{name}".lstrip("."))
