"""Read a recipe from a file or by its name, with overrides, and report all errors at once."""

from __future__ import annotations

import stat
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from mtkd_cli.errors import MtkdError, RecipeError, UsageError
from mtkd_cli.files import yaml12
from mtkd_cli.plugin.registry import Registry
from mtkd_cli.recipe.placeholders import unusable_texts
from mtkd_cli.recipe.resolve import unknown_names
from mtkd_cli.recipe.schema import Recipe
from mtkd_cli.recipe.shorthand import LISTS, SHORTHAND
from mtkd_cli.recipe.validation_messages import explain

MAX_BYTES = 1_000_000
SUFFIXES = (".yaml", ".yml", ".toml")


def read(reference: str, overrides: Sequence[str], registry: Registry) -> tuple[Recipe, str]:
    """Return the recipe and its name.

    Args:
        reference: a ``.yaml``, ``.yml`` or ``.toml`` file, or the name of a built-in recipe.
        overrides: ``key=value`` with dots and list indexes, e.g. ``teachers.1.weight=0.3``.
        registry: the installed plugins, for built-in recipes and for the names in a recipe.

    Raises:
        UsageError: no such recipe, or the file is not YAML or TOML.
        RecipeError: an override or the recipe is invalid, or a value is not filled in; has all problems,
            unknown plugins included.

    """
    raw, source, name = _load_raw(reference, registry)
    if not isinstance(raw, dict):
        raise UsageError(
            "a recipe must be a mapping of keys",
            where=source,
            hint="mtkd list recipes lists complete recipes, mtkd show recipe NAME prints one",
        )
    problems: list[MtkdError] = []
    for override in overrides:
        try:
            apply(raw, override)
        except UsageError as error:
            problems.append(error)
    if problems := problems or unusable_texts(raw, source):
        raise RecipeError(source, problems)
    try:
        return validate(raw, source), name
    except RecipeError as error:
        raise RecipeError(source, [*error.problems, *unknown_names(raw, registry, source)]) from error


def validate(raw: dict[str, Any], source: str) -> Recipe:
    """Return the validated recipe.

    Raises:
        RecipeError: the recipe does not match the schema; has all problems.
    """
    try:
        return Recipe.model_validate(raw)
    except ValidationError as error:
        raise RecipeError(source, explain(error, source)) from error


def load_raw(reference: str, registry: Registry) -> Any:
    """Return the content of a recipe as it is written, not validated.

    Raises:
        UsageError: there is no such recipe, or it is not YAML or TOML.
    """
    return _load_raw(reference, registry)[0]


def _load_raw(reference: str, registry: Registry) -> tuple[Any, str, str]:
    """Return the parsed YAML or TOML of a recipe, its source for messages, and its name."""
    path = Path(reference)
    if path.suffix in SUFFIXES:
        return _parse(_read_text(path), path.name), str(path), path.stem
    if "=" in reference:
        raise UsageError(
            f"the recipe is missing; {reference!r} is an override", hint=f"mtkd distill RECIPE {reference}"
        )
    try:
        spec = registry.find("recipes", reference).spec
    except UsageError as error:
        if "/" in reference or "\\" in reference or path.suffix:
            raise UsageError(
                f"{reference!r} is not a recipe", hint=f"a recipe file ends in {', '.join(SUFFIXES)}"
            ) from error
        raise
    return yaml12.load(spec.load(), reference), reference, spec.name


def _read_text(path: Path) -> str:
    try:
        facts = path.stat()
        if not stat.S_ISREG(facts.st_mode):  # reading a pipe or a device would wait, or never end
            kind = "a folder" if stat.S_ISDIR(facts.st_mode) else "a pipe or a device"
            raise UsageError(f"the recipe is {kind}", where=str(path), hint="pass a YAML or TOML file")
        if facts.st_size > MAX_BYTES:
            raise UsageError(
                f"the file is too large for a recipe: more than {MAX_BYTES:,} bytes",
                where=str(path),
                hint="check the path",
            )
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError as error:
        raise UsageError(
            f"no recipe file {path}", hint="mtkd list recipes shows the built-in recipes"
        ) from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UsageError(
            f"the recipe cannot be read: {reason}",
            where=str(path),
            hint="check its permissions, and save it as UTF-8 text",
        ) from error


def _parse(text: str, file: str) -> Any:
    if not file.endswith(".toml"):
        return yaml12.load(text, file)
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"invalid TOML: {error}", where=file, hint="fix that line") from error
    except (ValueError, RecursionError) as error:
        raise UsageError(
            "invalid TOML: a number is too large, or the nesting is too deep", where=file
        ) from error


def apply(raw: dict[str, Any], override: str) -> None:
    """Set one ``key=value`` in a raw recipe.

    Raises:
        UsageError: no ``=``, an index out of range, or a key below a plain value.

    """
    path, equals, text = override.partition("=")
    keys = path.split(".")
    if not equals or "" in keys:
        raise UsageError(f"{override!r} is not key=value", hint="for example train.epochs=3")
    value = yaml12.load(text, override)
    target: Any = raw
    for depth, key in enumerate(keys[:-1]):
        child = target[_index(target, key, override)] if isinstance(target, list) else target.get(key)
        if not isinstance(child, dict | list):
            child = _expand_shorthand(keys[: depth + 1], child, override)
            _set(target, key, child, override)
        target = child
    _set(target, keys[-1], value, override)


def _expand_shorthand(path: list[str], value: Any, override: str) -> dict[str, Any]:
    """Return a shorthand as a mapping; empty for a missing value."""
    section = path[0]
    if value is None or (path == ["augment"] and value in ("auto", "none")):
        return {}
    if section in SHORTHAND and len(path) == (2 if section in LISTS else 1):
        return {SHORTHAND[section]: value}
    if section == "teachers" and path[2:] == ["fit"]:
        return {"train": value}
    raise UsageError(
        f"{'.'.join(path)} is {value!r}, which has no keys",
        where=override,
        hint=f"set {'.'.join(path)} itself",
    )


def _set(target: Any, key: str, value: Any, override: str) -> None:
    target[_index(target, key, override) if isinstance(target, list) else key] = value


def _index(items: list[Any], key: str, override: str) -> int:
    if not (key.isdecimal() and len(key) < 10 and int(key) < len(items)):
        valid = f"valid indexes: 0 to {len(items) - 1}" if items else "the list is empty"
        raise UsageError(f"the list has no index {key!r}", where=override, hint=valid)
    return int(key)
