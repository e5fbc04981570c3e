"""Expand the shorthands of a recipe: ``strategy: mean`` is ``strategy: {name: mean}``."""

from __future__ import annotations

import re
from typing import Any

SHORTHAND = {
    "task": "name",
    "data": "name",
    "strategy": "name",
    "student": "model",
    "views": "count",
    "teachers": "model",
    "trackers": "name",
}
"""Key that a plain value sets: ``strategy: mean`` is ``strategy: {name: mean}``."""

LISTS = ("teachers", "trackers")
"""Sections whose list items have the shorthand."""


def expand(raw: dict[str, Any]) -> dict[str, Any]:
    """Return the recipe with expanded shorthands and a name for each teacher."""
    full = dict(raw)
    for section, key in SHORTHAND.items():
        value = full.get(section)
        if section in LISTS:
            if isinstance(value, list | tuple):
                full[section] = [{key: item} if isinstance(item, str) else item for item in value]
        elif isinstance(value, str | int) and not isinstance(value, bool):
            full[section] = {key: value}
    if full.get("augment") == "none":
        full["augment"] = {}
    if isinstance(full.get("teachers"), list):
        full["teachers"] = [_complete_teacher(item, full.get("fit")) for item in full["teachers"]]
    return full


def _complete_teacher(raw: Any, fit_defaults: Any) -> Any:
    """Set a teacher's missing name to its model's, and add the recipe's defaults to its ``fit``."""
    if not isinstance(raw, dict):
        return raw
    teacher = dict(raw)
    if isinstance(teacher.get("model"), str) and not teacher.get("name"):
        last = teacher["model"].rpartition(":")[2]
        if not re.search(r"[A-Za-z]", last):  # name convnet:8-16 convnet-8-16, not 8-16
            last = teacher["model"]
        teacher["name"] = re.sub(r"[^A-Za-z0-9._-]+", "-", last).strip("-._")[:100]
    fit = teacher.get("fit")
    fit = {"train": fit} if isinstance(fit, str) else fit
    if isinstance(fit, dict) and isinstance(fit_defaults, dict):
        teacher["fit"] = {**fit_defaults, **fit}
    return teacher
