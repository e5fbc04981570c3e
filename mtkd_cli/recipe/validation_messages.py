"""Convert pydantic's validation errors of a recipe to plain messages."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pydantic import BaseModel, ValidationError

from mtkd_cli.errors import MtkdError, RecipeKeyError, nearest_or_all, short_repr
from mtkd_cli.recipe.schema import Recipe

WORDS = {
    "int_type": "must be a whole number",
    "float_type": "must be a number",
    "bool_type": "must be true or false",
    "string_type": "must be text",
    "tuple_type": "must be a list",
    "dict_type": "must be a mapping of keys",
    "model_type": "must be a mapping of keys",
    "finite_number": "must be a finite number",
    "literal_error": "must be {expected}",
    "less_than": "must be less than {lt:g}",
    "less_than_equal": "must be at most {le:g}",
    "greater_than": "must be greater than {gt:g}",
    "greater_than_equal": "must be at least {ge:g}",
    "too_short": "must have at least {min_length} item",
    "too_long": "must have at most {max_length} items",
    "invalid_key": "a key must be text",
}
"""Messages by pydantic's error type; other types keep pydantic's message."""


def explain(error: ValidationError, source: str) -> list[MtkdError]:
    """Return one problem for each invalid key, in the order of the schema.

    Args:
        error: pydantic's error.
        source: file or name of the recipe, for messages.

    """
    at_key: dict[str, list[Any]] = {}
    for item in error.errors(include_url=False):
        if item["type"] == "too_short" and item["input"]:
            continue  # pydantic counts only valid items; the invalid ones have their own errors
        at_key.setdefault(_key(item), []).append(item)
    return [
        _problem(key, items, source)
        for key, items in at_key.items()
        if not _is_inherited(key, at_key) and not _is_other_branch(key, items, at_key)
    ]


def _is_other_branch(key: str, items: list[Any], keys: Iterable[str]) -> bool:
    """Whether a value is not one of the words allowed at a key because it is a list with its own problems."""
    return all(item["type"] == "literal_error" for item in items) and any(
        other.startswith(f"{key}.") for other in keys
    )


def _is_inherited(key: str, keys: Iterable[str]) -> bool:
    """Whether a teacher inherits the problem from the recipe's ``fit`` section."""
    section, _, inner = key.partition(".fit.")
    return section.startswith("teachers.") and f"fit.{inner}" in keys


def _problem(key: str, items: list[Any], source: str) -> MtkdError:
    """Return the problem of one key; the failed branches of a union are joined with "or"."""
    first, where = items[0], f"{source}: {key}" if key else source
    name = str(first["loc"][-1]) if first["loc"] else ""
    if first["type"] == "extra_forbidden":
        return RecipeKeyError(
            f"unknown key {name!r}", where, nearest_or_all(name, _keys_beside(first["loc"]))
        )
    if first["type"] == "missing":
        return RecipeKeyError(
            f"the key {name!r} is missing",
            where,
            "add it; mtkd list recipes lists complete recipes, mtkd show recipe NAME prints one",
        )
    requirement = " or ".join(dict.fromkeys(_requirement(item) for item in items)).replace(
        " or must be ", " or "
    )
    given = list(first["input"]) if isinstance(first["input"], tuple) else first["input"]
    return RecipeKeyError(
        f"{key or 'the recipe'}: {requirement}",
        where,
        f"it is {short_repr(given)}",
    )


def _requirement(item: Any) -> str:
    """Return the message of one pydantic error."""
    if item["type"] in WORDS:
        return WORDS[item["type"]].format(**item.get("ctx", {}))
    message = str(item["msg"]).removeprefix("Value error, ").replace("Input should", "must")
    return message[:1].lower() + message[1:]


def _key(item: Any) -> str:
    """Return the dotted key of a pydantic error, without pydantic's names of union branches."""
    *parents, last = item["loc"] or ("",)
    if item["type"] != "extra_forbidden" and _is_branch(last):
        return ".".join(str(part) for part in parents if not _is_branch(part))
    return ".".join(str(part) for part in (*(p for p in parents if not _is_branch(p)), last))


def _is_branch(part: Any) -> bool:
    return isinstance(part, str) and (part in ("int", "float", "str") or "[" in part)


def _keys_beside(location: tuple[Any, ...]) -> list[str]:
    """Return the valid keys in the section of an unknown key."""
    model: type[BaseModel] | None = Recipe
    for part in location[:-1]:
        if isinstance(part, int) or model is None or _is_branch(part):
            continue
        field = model.model_fields.get(part)
        model = _model_in(field.annotation) if field else None
    return list(model.model_fields) if model else []


def _model_in(annotation: Any) -> type[BaseModel] | None:
    """Return the first pydantic model in a type annotation."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    inner = (_model_in(argument) for argument in getattr(annotation, "__args__", ()))
    return next((model for model in inner if model is not None), None)
