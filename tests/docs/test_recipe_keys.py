"""Every key of a recipe is set in a built-in recipe or documented in docs/recipes.md."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from mtkd_cli.files import yaml12
from mtkd_cli.plugin.registry import Registry
from mtkd_cli.recipe.reader import validate
from mtkd_cli.recipe.resolve import resolve
from mtkd_cli.recipe.schema import Recipe
from mtkd_cli.recipe.shorthand import expand
from mtkd_cli.recipe.validation_messages import _model_in

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "recipes.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```yaml\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)


def schema_keys(model: type[BaseModel], before: str = "") -> Iterator[str]:
    for name, field in model.model_fields.items():
        inner = _model_in(field.annotation)
        yield before + name
        yield from schema_keys(inner, f"{before}{name}.") if inner else ()


def set_keys(value: Any, before: str = "") -> Iterator[str]:
    for item in value if isinstance(value, list) else ():
        yield from set_keys(item, before)
    for name, inner in value.items() if isinstance(value, dict) else ():
        yield f"{before}{name}"
        yield from set_keys(inner, f"{before}{name}.")


def test_every_key_is_set_somewhere(registry: Registry) -> None:
    texts = [*BLOCKS, *(entry.spec.load() for entry in registry.listing("recipes"))]
    shown = {key for text in texts for key in set_keys(expand(yaml12.load(text, "recipes.md")))}
    wanted = {key.replace("student.input.", "teachers.input.") for key in schema_keys(Recipe)}  # one meaning
    unseen = sorted(wanted - shown)
    assert unseen == [], "document each in docs/recipes.md, or remove it"


@pytest.mark.parametrize("text", BLOCKS)
def test_documented_recipes_are_valid(text: str, registry: Registry) -> None:
    plain = yaml12.load(registry.find("recipes", "digits").spec.load(), "digits")
    recipe = validate({**plain, **yaml12.load(text, "recipes.md")}, "recipes.md")
    resolve(recipe, registry, "recipes.md")
