"""Keys of a recipe with their summaries and values, for shell completion. Imports no torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from mtkd_cli.errors import MtkdError
from mtkd_cli.plugin.registry import Registry
from mtkd_cli.recipe.reader import load_raw
from mtkd_cli.recipe.resolve import SECTIONS
from mtkd_cli.recipe.schema import Data, Plug, Recipe, Student, Teacher
from mtkd_cli.recipe.shorthand import expand


@dataclass(frozen=True)
class Key:
    """One key.

    Attributes:
        name: the key with dots: ``train.epochs``.
        summary: what it is, in one line.
        values: values to offer: the choices, or else the default.
    """

    name: str
    summary: str
    values: tuple[str, ...]


def keys_of(reference: str, overrides: Sequence[str], registry: Registry) -> list[Key]:
    """Return the keys that overrides of a recipe can set, the options of its plugins included.

    Args:
        reference: file or name of the recipe; an unknown one has the keys of every recipe only.
        overrides: overrides before; ``strategy=weighted`` selects the options of `weighted`.
        registry: the installed plugins.
    """
    raw = _raw(reference, overrides, registry)
    found: list[Key] = []
    for section, field in Recipe.model_fields.items():
        if section in SECTIONS and section != "trackers":
            found += _of_plug(section, field, raw, registry)
        elif section == "teachers":
            for index, _ in enumerate(raw.get("teachers") or ()):
                found += _of_model(Teacher, f"teachers.{index}.")
        elif section == "student":
            found += [
                Key("student", field.description or "The student's model.", ()),
                *_of_model(Student, "student."),
            ]
        else:
            found += _of_field(section, field)
    return found


def _raw(reference: str, overrides: Sequence[str], registry: Registry) -> Mapping[str, Any]:
    """Return a recipe as it is written, shorthands expanded, as far as it can be read."""
    try:
        raw = load_raw(reference, registry)
    except MtkdError:
        raw = None
    raw = dict(raw) if isinstance(raw, dict) else {}
    for override in overrides:
        key, _, value = override.partition("=")
        if key in SECTIONS or key.removesuffix(".name") in SECTIONS:
            raw[key.removesuffix(".name")] = value
    return expand(raw)


def _of_plug(section: str, field: FieldInfo, raw: Mapping[str, Any], registry: Registry) -> list[Key]:
    kind = SECTIONS[section]
    names = tuple(registry.names(kind))
    found = [Key(section, field.description or f"Name of the {section}.", names)]
    if section == "data":
        found += [key for key in _of_model(Data, "data.") if key.name != "data.name"]
    plug = raw.get(section)
    default = field.default.name if isinstance(field.default, Plug) else ""
    name = plug.get("name") if isinstance(plug, dict) else default
    try:
        options = registry.find(kind, str(name)).spec.options
    except MtkdError:
        options = ()
    for option in options:
        values = option.choices or (() if option.default is None else (_text(option.default),))
        found.append(Key(f"{section}.{option.name}", option.summary, values))
    return found


def _of_model(model: type[BaseModel], prefix: str) -> list[Key]:
    return [key for name, field in model.model_fields.items() for key in _of_field(f"{prefix}{name}", field)]


def _of_field(name: str, field: FieldInfo) -> list[Key]:
    """Return the keys of a field: of a section those in it."""
    sections = [
        part for part in _parts(field.annotation) if isinstance(part, type) and issubclass(part, BaseModel)
    ]
    if sections:
        short = [Key(name, field.description or "", _values(field))] if field.description else []
        return short + [key for section in sections for key in _of_model(section, f"{name}.")]
    return [Key(name, field.description or "", _values(field))]


def _values(field: FieldInfo) -> tuple[str, ...]:
    choices = [
        value for part in _parts(field.annotation) if get_origin(part) is Literal for value in get_args(part)
    ]
    default = [] if field.is_required() or field.default is None or field.default_factory else [field.default]
    plain = [value for value in (*choices, *default) if isinstance(value, bool | int | float | str | tuple)]
    return tuple(dict.fromkeys(_text(value) for value in plain if value != ""))


def _parts(annotation: Any) -> list[Any]:
    """Return a type and all types in it."""
    if get_origin(annotation) is Literal:
        return [annotation]
    return [annotation, *(part for inner in get_args(annotation) for part in _parts(inner))]


def _text(value: Any) -> str:
    """Return a value as YAML has it, without spaces."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list | tuple):
        return f"[{','.join(map(_text, value))}]"
    return str(value)
