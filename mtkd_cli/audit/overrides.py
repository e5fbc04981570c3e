"""Overrides that change the teachers of a recipe, to copy onto the command line."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Mapping
from typing import Any

PLAIN = re.compile(r"(?!(?:true|false|null)$)[A-Za-z][\w.-]*")
"""Texts that need no quotes in YAML."""


def without_teacher(recipe: Mapping[str, Any], name: str) -> str:
    """Return ``teachers=[...]`` without a teacher; empty if no other is left."""
    return _teachers(recipe, lambda teacher: teacher["name"] != name)


def only_teacher(recipe: Mapping[str, Any], name: str) -> str:
    """Return ``teachers=[...]`` with one teacher."""
    return _teachers(recipe, lambda teacher: teacher["name"] == name)


def only_teachers(recipe: Mapping[str, Any], names: Collection[str]) -> str:
    """Return ``teachers=[...]`` with some teachers; empty if the recipe has none of them."""
    return _teachers(recipe, lambda teacher: teacher["name"] in names)


def teacher_key(recipe: Mapping[str, Any], name: str, key: str, value: Any) -> str:
    """Return ``teachers.INDEX.KEY=VALUE``; empty if the recipe has no such teacher."""
    names = [teacher["name"] for teacher in recipe.get("teachers", ())]
    return f"teachers.{names.index(name)}.{key}={flow(value)}" if name in names else ""


def _teachers(recipe: Mapping[str, Any], is_kept: Callable[[Mapping[str, Any]], bool]) -> str:
    kept = [_short(teacher, recipe) for teacher in recipe.get("teachers", ()) if is_kept(teacher)]
    return f"teachers={flow(kept)}" if kept else ""


def _short(teacher: Mapping[str, Any], recipe: Mapping[str, Any]) -> dict[str, Any]:
    """Return a teacher of a resolved recipe without defaults."""
    short = {key: _without_none(value) for key, value in teacher.items()}
    fit, shared = teacher.get("fit"), recipe.get("fit") or {}
    if fit:
        own = {key: value for key, value in fit.items() if key == "train" or shared.get(key) != value}
        short["fit"] = own["train"] if set(own) == {"train"} else own
    return {key: value for key, value in short.items() if value not in (None, {})}


def _without_none(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: part for key, part in value.items() if part is not None}
    return value


def flow(value: Any) -> str:
    """Return a value in YAML's flow style, on one line."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{flow(key)}: {flow(part)}" for key, part in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(flow, value)) + "]"
    if isinstance(value, str) and PLAIN.fullmatch(value):
        return value
    return json.dumps(value, ensure_ascii=False)
