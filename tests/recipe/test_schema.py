"""The schema: strict, in the user's words, with shorthands, and known to editors."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from mtkd_cli.errors import RecipeError
from mtkd_cli.files import yaml12
from mtkd_cli.interfaces import LossOptions
from mtkd_cli.plugin.registry import Registry
from mtkd_cli.recipe.json_schema import json_schema
from mtkd_cli.recipe.reader import validate
from mtkd_cli.recipe.resolve import resolve
from mtkd_cli.recipe.schema import Augment, Recipe, is_auto
from mtkd_cli.recipe.shorthand import expand

SCHEMA = Path(__file__).parents[2] / "docs/recipe.schema.json"


def small(**more: Any) -> dict[str, Any]:
    return {
        "task": "classification",
        "data": "digits",
        "teachers": ["mlp:8"],
        "strategy": "mean",
        "student": "mlp:4",
    } | more


def problems(**more: Any) -> list[tuple[str, str]]:
    with pytest.raises(RecipeError) as caught:
        validate(small(**more), "r")
    return [(p.what, p.hint) for p in caught.value.problems]


def test_expands_shorthands() -> None:
    recipe = validate(small(views=4, teachers=["timm:resnet18", {"model": "mlp:8", "fit": "head"}]), "r")
    assert recipe.data.name == "digits"
    assert recipe.strategy.name == "mean"
    assert recipe.views.count == 4
    assert [teacher.name for teacher in recipe.teachers] == ["resnet18", "mlp-8"]
    assert recipe.teachers[1].fit is not None
    assert recipe.teachers[1].fit.train == "head"


def test_teacher_fit_inherits_recipe_fit() -> None:
    teachers = [{"model": "mlp:8", "fit": "all"}, {"model": "mlp:9", "fit": {"epochs": 2}}, "mlp:10"]
    recipe = validate(small(fit={"epochs": 7, "lr": 0.5}, teachers=teachers), "r")
    first, second, third = (teacher.fit for teacher in recipe.teachers)
    assert first is not None
    assert second is not None
    assert (first.epochs, first.lr, second.epochs, second.lr) == (7, 0.5, 2, 0.5)
    assert third is None


def test_expand_is_idempotent_and_keeps_input() -> None:
    raw = small(views="live", fit={"epochs": 3}, teachers=[{"model": "python:m.py:Net", "fit": "all"}])
    before = json.dumps(raw)
    once = expand(raw)
    assert expand(once) == once
    assert json.dumps(raw) == before


def test_default_strategy_is_weighted(registry: Registry) -> None:
    raw = small()
    del raw["strategy"]
    recipe = validate(raw, "r")
    assert recipe.strategy.name == "weighted"
    assert resolve(recipe, registry, "r").strategy.options == {"by": None, "tau": 0.1}
    assert accepts(json_schema(), raw, json_schema())


def test_augment_and_batch_sizes_default_to_auto() -> None:
    recipe = validate(small(teachers=[{"model": "mlp:8", "fit": "all"}]), "r")
    fit = recipe.teachers[0].fit
    assert fit is not None
    assert all(map(is_auto, (recipe.augment, recipe.train.batch_size, fit.batch_size)))
    assert validate(small(augment="none"), "r").augment == Augment()
    assert validate(small(augment={}), "r").augment == Augment()
    assert validate(small(augment={"flip": True}), "r").augment == Augment(flip=True)


def test_written_recipe_reads_back_unchanged() -> None:
    recipe = validate(small(train={"lr": [1e-3, 1e-2]}, data={"name": "digits", "labels": 100}), "r")
    again = validate(yaml12.load(yaml12.dump(recipe.as_dict()), "r"), "r")
    assert again == recipe


def test_keeps_options_of_plugins() -> None:
    recipe = validate(small(data={"name": "image-folder", "path": "flowers", "val": 0.1}), "r")
    assert recipe.data.options == {"path": "flowers"}
    assert recipe.data.val == 0.1


@pytest.mark.parametrize(
    ("more", "says", "hint"),
    [
        ({"trian": {}}, "unknown key 'trian'", "did you mean 'train'?"),
        ({"train": {"epoch": 3}}, "unknown key 'epoch'", "did you mean 'epochs'?"),
        ({"train": {"a[0]": 3}}, "unknown key 'a[0]'", "known: batch_size, clip, "),
        (
            {"teachers": [{"model": "mlp:8", "input": {"sise": 3}}]},
            "unknown key 'sise'",
            "did you mean 'size'?",
        ),
        ({"train": {"epochs": 0}}, "train.epochs: must be at least 1", "it is 0"),
        ({"train": {"epochs": "3"}}, "train.epochs: must be a whole number", "it is '3'"),
        ({"train": {"epochs": True}}, "train.epochs: must be a whole number", "it is True"),
        ({"train": {"epochs": 2.5}}, "train.epochs: must be a whole number", "it is 2.5"),
        ({"augment": {"flip": "no"}}, "augment.flip: must be true or false", "it is 'no'"),
        ({"augment": {"flipp": True}}, "unknown key 'flipp'", "did you mean 'flip'?"),
        ({"augment": "some"}, "augment: must be a mapping of keys", "it is 'some'"),
        ({"train": {"batch_size": 0}}, "train.batch_size: must be at least 1", "it is 0"),
        ({"train": {"lr": []}}, "train.lr: must have at least 1 item", "it is []"),
        ({"train": {"lr": float("nan")}}, "train.lr.0: must be a finite number", "it is nan"),
        ({"train": {"optimizer": "adam"}}, "train.optimizer: must be 'adamw' or 'sgd'", "it is 'adam'"),
        ({"loss": {"kd_ratio": 2}}, "loss.kd_ratio: must be at most 1: it is a share", "it is 2"),
        ({"loss": {"kd_ratio": "most"}}, "loss.kd_ratio: must be a number or 'auto'", "it is 'most'"),
        ({"views": 0}, "views.count: must be at least 1", "it is 0"),
        ({"views": "many"}, "views.count: must be a whole number or 'auto' or 'live'", "it is 'many'"),
        ({"data": {"name": "digits", "val": 1}}, "data.val: must be less than 1", "it is 1"),
        ({"data": {"val": 0.1}}, "the key 'name' is missing", "add it"),
        ({"student": None}, "student: must be a mapping of keys", "it is None"),
        ({"teachers": []}, "teachers: must have at least 1 item", "it is []"),
        ({"teachers": "mlp:8"}, "teachers: must be a list", "it is 'mlp:8'"),
        ({"teachers": [7]}, "teachers.0: must be a mapping of keys", "it is 7"),
        (
            {"teachers": [{"model": "mlp:8", "classes": 3}]},
            "teachers.0.classes: must be a list or text",
            "it is 3",
        ),
        (
            {"teachers": [{"model": "mlp:8", "name": "../up"}]},
            "teachers.0.name: a name has letters",
            "'../up'",
        ),
        (
            {"teachers": [{"model": "mlp:8", "weight": -1}]},
            "teachers.0.weight: must be at least 0",
            "it is -1",
        ),
    ],
)
def test_validation_messages(more: dict[str, Any], says: str, hint: str) -> None:
    ((what, do),) = problems(**more)
    assert what.startswith(says)
    assert hint in do


def test_reports_invalid_fit_default_once() -> None:
    teachers = [{"model": "mlp:8", "fit": "all"}, {"model": "mlp:9", "fit": {"epochs": -1}}]
    assert [what for what, _ in problems(fit={"epochs": 0, "epoch": 3}, teachers=teachers)] == [
        "fit.epochs: must be at least 1",
        "unknown key 'epoch'",
    ]


def test_published_schema_is_current() -> None:
    published = json.loads(SCHEMA.read_text(encoding="utf-8"))
    assert published == json_schema(), "run python docs/generate.py"


def accepts(schema: dict[str, Any], value: Any, root: dict[str, Any]) -> bool:
    """As much of JSON Schema as the recipe's uses, the way an editor reads it."""
    if "$ref" in schema:
        return accepts(root["$defs"][schema["$ref"].rpartition("/")[2]], value, root)
    if "anyOf" in schema:
        return any(accepts(branch, value, root) for branch in schema["anyOf"])
    if "enum" in schema or "const" in schema:
        return value in schema.get("enum", [schema.get("const")])
    kinds = {"object": dict, "array": list, "string": str, "number": (int, float), "integer": int}
    kinds |= {"boolean": bool, "null": type(None)}
    types = [schema["type"]] if isinstance(schema["type"], str) else schema["type"]
    if not any(isinstance(value, kinds[kind]) for kind in types):
        return False
    if isinstance(value, list):
        return len(value) >= schema.get("minItems", 0) and all(
            accepts(schema["items"], item, root) for item in value
        )
    if isinstance(value, dict):
        fields, others = schema["properties"], schema.get("additionalProperties", True)
        known = all(accepts(fields[key], value[key], root) for key in value if key in fields)
        return (
            known and set(schema.get("required", [])) <= set(value) and (others or set(value) <= set(fields))
        )
    return True


def test_schema_accepts_built_in_recipes_and_rejects_typo(registry: Registry) -> None:
    schema = json_schema()
    for entry in registry.listing("recipes"):
        raw = yaml12.load(entry.spec.load(), entry.spec.name)
        assert accepts(schema, raw, schema)
        raw["train"]["epoch"] = 3
        assert not accepts(schema, raw, schema)
    short = small(views="live", train={"lr": 1e-3}, teachers=["mlp:8", {"model": "mlp:9", "fit": "head"}])
    assert accepts(schema, short, schema)
    for augment in ("auto", "none", {"flip": True}):
        assert accepts(schema, small(augment=augment, train={"batch_size": "auto"}), schema)
    assert not accepts(schema, small(augment="some"), schema)
    assert not accepts(schema, small(train={"lr": []}), schema)
    assert not accepts(schema, small(teachers=[]), schema)


def test_every_field_has_description() -> None:
    for part in json_schema()["$defs"].values():
        for name, field in part["properties"].items():
            assert field.get("description"), f"{part['title']}.{name}"


def test_loss_options_for_task() -> None:
    loss = {"temperature": 2.0, "kd_ratio": 0.25, "label_smoothing": 0.1, "class_weights": [1.0, 3.0]}
    assert Recipe.model_validate(expand(small(loss=loss))).loss.for_task == LossOptions(2.0, 0.1, (1.0, 3.0))
    assert Recipe.model_validate(expand(small())).loss.for_task == LossOptions()


def test_recipe_is_frozen() -> None:
    with pytest.raises(ValidationError):
        validate(small(), "r").train.epochs = 3  # type: ignore[misc]
    assert hash(Recipe) is not None
