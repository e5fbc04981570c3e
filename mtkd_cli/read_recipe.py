"""Read a recipe: a file or a built-in name, with overrides, every error at once."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from mtkd_cli import strict_yaml
from mtkd_cli.errors import MtkdError, RecipeError, UsageError, nearest_or_all
from mtkd_cli.plugins import Registry
from mtkd_cli.recipe import SHORTHAND, Plug, Recipe, expand
from mtkd_cli.specs import RecipeSpec

LARGEST_BYTES = 1_000_000


def read(reference: str, overrides: Sequence[str], registry: Registry) -> tuple[Recipe, str]:
    """Return the recipe and a name for it.

    Args:
        reference: a ``.yaml``, ``.yml`` or ``.toml`` file, or the name of a built-in recipe.
        overrides: ``key=value`` with dots and list indexes, e.g. ``teachers.1.weight=0.3``.
        registry: the installed plugins, for built-in recipes.

    Raises:
        UsageError: no such recipe, not YAML or TOML, or an override that fits nowhere.
        RecipeError: the recipe breaks the schema; carries every problem.

    """
    raw, source, name = _raw(reference, registry)
    if not isinstance(raw, dict):
        raise UsageError("a recipe is a mapping of keys", where=source, hint="see mtkd init digits")
    problems: list[MtkdError] = []
    for override in overrides:
        try:
            apply(raw, override)
        except UsageError as error:
            problems.append(error)
    if problems:
        raise RecipeError(source, problems)
    return validate(raw, source), name


def validate(raw: dict[str, Any], source: str) -> Recipe:
    """Return the recipe, or raise a RecipeError with every problem of the schema."""
    try:
        return Recipe.model_validate(raw)
    except ValidationError as error:
        raise RecipeError(source, [_explain(item, source) for item in error.errors()]) from error


def _raw(reference: str, registry: Registry) -> tuple[Any, str, str]:
    path = Path(reference)
    if path.suffix in (".yaml", ".yml", ".toml"):
        return _parse(_text(path), path.name), str(path), path.stem
    if path.exists():
        raise UsageError(f"{reference} is not a recipe", hint="a recipe ends in .yaml, .yml or .toml")
    spec = registry.find("recipes", reference).spec
    if not isinstance(spec, RecipeSpec):
        raise TypeError(spec)
    return strict_yaml.load(spec.load(), reference), reference, reference.rpartition(":")[2]


def _text(path: Path) -> str:
    try:
        if path.stat().st_size > LARGEST_BYTES:
            raise UsageError(
                "the file is too large for a recipe", where=str(path), hint="is it the right file?"
            )
        return path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise UsageError(
            f"no recipe file {path}", hint="mtkd list recipes shows the built-in ones"
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"the recipe cannot be read: {error}", where=str(path)) from error


def _parse(text: str, file: str) -> Any:
    if not file.endswith(".toml"):
        return strict_yaml.load(text, file)
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"not valid TOML: {error}", where=file, hint="mend that line") from error


def apply(raw: dict[str, Any], override: str) -> None:
    """Set one ``key=value`` in a raw recipe.

    Raises:
        UsageError: no ``=``, an index outside its list, or a key below a plain value.

    """
    path, equals, text = override.partition("=")
    if not equals or not path:
        raise UsageError(f"{override!r} is not key=value", hint="for example train.epochs=3")
    value = strict_yaml.load(text, override)
    here: Any = raw
    *parents, last = path.split(".")
    for depth, key in enumerate(parents):
        child = _get(here, key, override)
        if not isinstance(child, dict | list):
            child = _longhand(parents, depth, child, override)
            _set(here, key, child, override)
        here = child
    _set(here, last, value, override)


def _longhand(parents: list[str], depth: int, value: Any, override: str) -> dict[str, Any]:
    """Return ``value`` as a mapping: a shorthand written out, or nothing yet."""
    section = parents[0]
    level = 1 if section in ("teachers", "trackers") else 0
    if value is None:
        return {}
    if section in SHORTHAND and depth == level:
        return {SHORTHAND[section]: value}
    if section == "teachers" and depth == 2 and parents[2] == "fit":
        return {"train": value}
    raise UsageError(f"{'.'.join(parents[: depth + 1])} is {value!r} and has no keys", where=override)


def _get(here: Any, key: str, override: str) -> Any:
    return here[_index(here, key, override)] if isinstance(here, list) else here.get(key)


def _set(here: Any, key: str, value: Any, override: str) -> None:
    here[_index(here, key, override) if isinstance(here, list) else key] = value


def _index(items: list[Any], key: str, override: str) -> int:
    if not key.isdecimal() or int(key) >= len(items):
        raise UsageError(
            f"{key!r} is no index of a list of {len(items)}", where=override, hint="indexes start at 0"
        )
    return int(key)


def _explain(item: Any, source: str) -> MtkdError:
    """Turn one of pydantic's errors into the user's words."""
    location = [part for part in item["loc"] if not _is_union_branch(part)]
    key = ".".join(map(str, location))
    where = f"{source}: {key}" if key else source
    if item["type"] == "extra_forbidden":
        known = _keys_at(location[:-1])
        return RecipeKeyError(
            f"unknown key {location[-1]!r}", where, nearest_or_all(str(location[-1]), known)
        )
    if item["type"] == "missing":
        return RecipeKeyError(
            f"the key {location[-1]!r} is missing", where, "add it; mtkd init digits shows one"
        )
    message = str(item["msg"]).removeprefix("Value error, ")
    shown = repr(item["input"])
    return RecipeKeyError(
        f"{key or 'recipe'}: {message[:1].lower()}{message[1:]}",
        where,
        f"it is {shown if len(shown) < 60 else shown[:57] + '...'}",
    )


class RecipeKeyError(UsageError):
    """One problem at one key of a recipe."""

    code = "recipe"


def _is_union_branch(part: Any) -> bool:
    return isinstance(part, str) and (part in ("int", "float", "str") or "[" in part)


def _keys_at(location: list[Any]) -> list[str]:
    """Return the keys that the schema has at a place."""
    model: Any = Recipe
    for part in location:
        if isinstance(part, int):
            continue
        field = (
            model.model_fields.get(part) if isinstance(model, type) and issubclass(model, BaseModel) else None
        )
        model = _model_in(field.annotation) if field else None
    return list(model.model_fields) if model else []


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    inner = (_model_in(argument) for argument in getattr(annotation, "__args__", ()))
    return next((model for model in inner if model is not None), None)


__all__ = ["Plug", "apply", "expand", "read", "validate"]
