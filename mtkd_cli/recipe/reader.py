"""Read a recipe: a file or a built-in name, with overrides, every error at once."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from mtkd_cli.errors import MtkdError, RecipeError, UsageError
from mtkd_cli.files import yaml12
from mtkd_cli.plugin.registry import Registry
from mtkd_cli.recipe.resolve import unknown_names
from mtkd_cli.recipe.schema import Recipe
from mtkd_cli.recipe.shorthand import LISTS, SHORTHAND
from mtkd_cli.recipe.validation_messages import explain

LARGEST_BYTES = 1_000_000
SUFFIXES = (".yaml", ".yml", ".toml")


def read(reference: str, overrides: Sequence[str], registry: Registry) -> tuple[Recipe, str]:
    """Return the recipe and a name for it.

    Args:
        reference: a ``.yaml``, ``.yml`` or ``.toml`` file, or the name of a built-in recipe.
        overrides: ``key=value`` with dots and list indexes, e.g. ``teachers.1.weight=0.3``.
        registry: the installed plugins, for built-in recipes and for the names in a recipe.

    Raises:
        UsageError: no such recipe, or not YAML or TOML.
        RecipeError: overrides that fit nowhere, or a recipe that breaks the schema; carries
            every problem, names that no plugin has too.

    """
    raw, source, name = _raw(reference, registry)
    if not isinstance(raw, dict):
        raise UsageError(
            "a recipe is a mapping of keys",
            where=source,
            hint="mtkd list recipes lists complete recipes, mtkd show recipe NAME prints one",
        )
    problems: list[MtkdError] = []
    for override in overrides:
        try:
            apply(raw, override)
        except UsageError as error:
            problems.append(error)
    if problems:
        raise RecipeError(source, problems)
    try:
        return validate(raw, source), name
    except RecipeError as error:
        raise RecipeError(source, [*error.problems, *unknown_names(raw, registry, source)]) from error


def validate(raw: dict[str, Any], source: str) -> Recipe:
    """Return the recipe, or raise a RecipeError with every problem of the schema."""
    try:
        return Recipe.model_validate(raw)
    except ValidationError as error:
        raise RecipeError(source, explain(error, source)) from error


def _raw(reference: str, registry: Registry) -> tuple[Any, str, str]:
    path = Path(reference)
    if path.suffix in SUFFIXES:
        return _parse(_text(path), path.name), str(path), path.stem
    if "=" in reference:
        raise UsageError(
            f"{reference!r} is an override, the recipe is missing", hint=f"mtkd distill RECIPE {reference}"
        )
    try:
        spec = registry.find("recipes", reference).spec
    except UsageError as error:
        if "/" in reference or "\\" in reference or path.suffix:
            raise UsageError(
                f"{reference!r} is no recipe", hint=f"a recipe file ends in {', '.join(SUFFIXES)}"
            ) from error
        raise
    return yaml12.load(spec.load(), reference), reference, spec.name


def _text(path: Path) -> str:
    try:
        if path.stat().st_size > LARGEST_BYTES:
            raise UsageError(
                "the file is too large for a recipe", where=str(path), hint="is it the right file?"
            )
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError as error:
        raise UsageError(
            f"no recipe file {path}", hint="mtkd list recipes shows the built-in ones"
        ) from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UsageError(
            f"the recipe cannot be read: {reason}", where=str(path), hint="is it a text file in UTF-8?"
        ) from error


def _parse(text: str, file: str) -> Any:
    if not file.endswith(".toml"):
        return yaml12.load(text, file)
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"not valid TOML: {error}", where=file, hint="fix that line") from error
    except (ValueError, RecursionError) as error:
        raise UsageError("not valid TOML: a number or a nest too large", where=file) from error


def apply(raw: dict[str, Any], override: str) -> None:
    """Set one ``key=value`` in a raw recipe.

    Raises:
        UsageError: no ``=``, an index outside its list, or a key below a plain value.

    """
    path, equals, text = override.partition("=")
    keys = path.split(".")
    if not equals or "" in keys:
        raise UsageError(f"{override!r} is not key=value", hint="for example train.epochs=3")
    value = yaml12.load(text, override)
    here: Any = raw
    for depth, key in enumerate(keys[:-1]):
        child = here[_index(here, key, override)] if isinstance(here, list) else here.get(key)
        if not isinstance(child, dict | list):
            child = _longhand(keys[: depth + 1], child, override)
            _set(here, key, child, override)
        here = child
    _set(here, keys[-1], value, override)


def _longhand(path: list[str], value: Any, override: str) -> dict[str, Any]:
    """Return ``value`` as a mapping: a shorthand written out, or nothing yet."""
    section = path[0]
    if value is None or (path == ["augment"] and value in ("auto", "none")):
        return {}
    if section in SHORTHAND and len(path) == (2 if section in LISTS else 1):
        return {SHORTHAND[section]: value}
    if section == "teachers" and path[2:] == ["fit"]:
        return {"train": value}
    raise UsageError(f"{'.'.join(path)} is {value!r} and has no keys", where=override)


def _set(here: Any, key: str, value: Any, override: str) -> None:
    here[_index(here, key, override) if isinstance(here, list) else key] = value


def _index(items: list[Any], key: str, override: str) -> int:
    if not (key.isdecimal() and len(key) < 10 and int(key) < len(items)):
        last = f"0 to {len(items) - 1}" if items else "none: it is empty"
        raise UsageError(f"the list has no index {key!r}", where=override, hint=f"its indexes are {last}")
    return int(key)
