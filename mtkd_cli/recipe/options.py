"""Validate the options that a recipe sets for a plugin."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from mtkd_cli.errors import MtkdError, RecipeKeyError, nearest_or_all, short_repr
from mtkd_cli.recipe.limits import Limits
from mtkd_cli.specs import Option


def check_options(
    given: Mapping[str, Any], known: tuple[Option, ...], where: str, beside: Iterable[str] = ()
) -> tuple[dict[str, Any], list[MtkdError]]:
    """Return the options with defaults filled in, and the problems of the given ones.

    Args:
        given: options in the recipe.
        known: options of the plugin.
        where: file and section, for messages.
        beside: other keys of the section, for suggestions when a key is misspelled.
    """
    options = {option.name: option for option in known}
    current = {alias: option.name for option in known for alias in option.aliases}
    problems: list[MtkdError] = []
    values: dict[str, Any] = {}
    for key, value in given.items():
        name = current.get(key, key)
        if name in values:
            problems.append(RecipeKeyError(f"{name} is set twice", f"{where}.{key}", f"remove {key!r}"))
            continue
        if name not in options:
            hint = nearest_or_all(name, [*options, *beside])
            problems.append(RecipeKeyError(f"unknown key {name!r}", f"{where}.{name}", hint))
            continue
        try:
            values[name] = _convert(value, options[name])
        except ValueError as error:
            problems.append(RecipeKeyError(f"{name}: {error}", f"{where}.{name}", options[name].summary))
    for option in known:
        if option.required and option.name not in {current.get(key, key) for key in given}:
            problems.append(RecipeKeyError(f"the key {option.name!r} is missing", where, option.summary))
        values.setdefault(option.name, option.default)
    return values, problems


def _convert(value: Any, option: Option) -> Any:
    """Convert a value to the option's type.

    Raises:
        ValueError: the value has the wrong type, is not one of the choices, not finite or out of range.
    """
    if value is None and option.default is None and not option.required:
        return None
    if option.pair and isinstance(value, list | tuple):
        if len(value) != 2:
            raise ValueError(f"must be one value or a list of two, it is {value!r}")
        return [_convert(each, replace(option, pair=False, required=True)) for each in value]
    if option.type is float and isinstance(value, int) and not isinstance(value, bool):
        try:
            value = float(value)
        except OverflowError:
            raise ValueError("the number is too large") from None
    if option.type is list and isinstance(value, str | int | float) and not isinstance(value, bool):
        value = [value]
    if not isinstance(value, option.type) or (option.type is int and isinstance(value, bool)):
        raise ValueError(f"must be {option.type.__name__}, it is {short_repr(value)}")
    if option.choices and value not in option.choices:
        raise ValueError(f"must be one of {', '.join(option.choices)}, it is {short_repr(value)}")
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"must be a finite number, it is {short_repr(value)}")
    low = -math.inf if option.minimum is None else option.minimum
    high = math.inf if option.maximum is None else option.maximum
    try:
        return Limits(low, high, option.reason, option.reason).check(value)
    except ValueError as error:
        raise ValueError(f"{error}; it is {short_repr(value)}") from None
