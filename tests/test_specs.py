"""A spec describes without importing, and refuses what could not be shown or written."""

import sys
from typing import Any

import pytest

from mtkd_cli.plugin.registry import Registry
from mtkd_cli.specs import KINDS, NAME, AggregatorSpec, Option, RecipeSpec, Spec, TeacherSpec


def test_load_imports_implementation() -> None:
    spec = TeacherSpec("odd", "one line", "this:s")
    assert "this" not in sys.modules
    try:
        assert spec.load().startswith("Gur Mra bs Clguba")
    finally:
        sys.modules.pop("this", None)


def test_recipe_spec_loads_text_with_comments() -> None:
    assert "teachers:" in RecipeSpec("digits", "", "mtkd_recipes:digits.yaml").load()


@pytest.mark.parametrize(
    ("build", "says"),
    [
        (lambda: AggregatorSpec("a", "s", "m:A", needs=("label",)), "did you mean 'labels'"),
        (lambda: AggregatorSpec("a", "s", "m:A", tasks="classification"), "tasks must be a tuple"),
        (lambda: AggregatorSpec("a", None, "m:A"), "summary must be a str"),
        (lambda: Option("o", set), "known: int, float, bool, str, list, dict"),
        (lambda: Option("o", str, minimum=1), "its type is not a number"),
        (lambda: Option("o", int, choices=("a",)), "its type is not str"),
    ],
)
def test_rejects_invalid_spec(build: Any, says: str) -> None:
    with pytest.raises((TypeError, ValueError), match=says):
        build()


def test_built_in_specs_are_complete(registry: Registry) -> None:
    for entry in registry.entries:
        spec = entry.spec
        assert NAME.fullmatch(spec.name)
        assert spec.summary.endswith("."), f"{spec.name}: a summary is a sentence"
        assert all(option.summary for option in spec.options), f"{spec.name}: an option without a summary"
        assert isinstance(spec, KINDS[spec.kind])
        if isinstance(spec, AggregatorSpec):
            assert spec.formula


def test_specs_are_frozen() -> None:
    with pytest.raises(AttributeError):
        Spec("a", "s", "m:A").name = "b"  # type: ignore[misc]
