"""Files, built-in names and overrides; whatever is written, the answer is a recipe or its problems."""

from __future__ import annotations

import copy
import os
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mtkd_cli.errors import MtkdError, RecipeError, UsageError
from mtkd_cli.files import yaml12
from mtkd_cli.plugin.registry import Registry, discover
from mtkd_cli.recipe.load import load
from mtkd_cli.recipe.placeholders import unfilled_keys
from mtkd_cli.recipe.reader import apply, read, validate
from mtkd_cli.recipe.resolve import resolve, unknown_names
from mtkd_cli.recipe.schema import Data, Recipe, Teacher
from mtkd_cli.specs import RecipeSpec

YAML = """
task: classification
data: digits
teachers: ["mlp:8", {model: "mlp:9", weight: 1}]
strategy: weighted
student: mlp:4
"""
TOML = """
task = "classification"
data = "digits"
teachers = ["mlp:8", {model = "mlp:9", weight = 1}]
strategy = "weighted"
student = "mlp:4"
"""


def test_yaml_and_toml_give_same_recipe(registry: Registry) -> None:
    Path("r.yaml").write_text(YAML)
    Path("r.toml").write_text(TOML)
    one, name = read("r.yaml", [], registry)
    two, _ = read("r.toml", [], registry)
    assert one == two
    assert name == "r"


def test_built_in_name_wins_over_folder(registry: Registry) -> None:
    Path("digits").mkdir()
    recipe, name = read("digits", [], registry)
    assert (recipe.data.name, name) == ("digits", "digits")
    assert read("mtkd:digits", [], registry) == (recipe, "digits")


@pytest.mark.parametrize("name", [e.spec.name for e in discover(third_party=False).listing("recipes")])
def test_built_in_recipes_are_valid_once_filled_in(name: str, registry: Registry) -> None:
    raw = yaml12.load(registry.find("recipes", name).spec.load(), name)
    filled = [f"{key}=mine" for key in unfilled_keys(raw)]
    assert load(name, filled, registry).name == name
    if filled:
        with pytest.raises(RecipeError) as raised:
            load(name, [], registry)
        assert [problem.where for problem in raised.value.problems] == [
            f"{name}: {key.partition('=')[0]}" for key in filled
        ]


def test_only_recipes_for_own_data_have_values_to_fill_in(registry: Registry) -> None:
    for entry in registry.listing("recipes"):
        own_data = cast("RecipeSpec", entry.spec).own_data
        assert own_data or not list(unfilled_keys(yaml12.load(entry.spec.load(), entry.spec.name)))
    marked = {e.spec.name for e in registry.listing("recipes") if cast("RecipeSpec", e.spec).own_data}
    assert marked == {"image-folder", "imagenet-teachers", "table", "coco", "mask-folder"}


@pytest.mark.parametrize(
    ("override", "key", "value"),
    [
        ("train.epochs=3", ("train", "epochs"), 3),
        ("train.lr=1e-3", ("train", "lr"), (0.001,)),
        ("train.lr=[1e-3, 1e-2]", ("train", "lr"), (0.001, 0.01)),
        ("strategy=mean", ("strategy", "name"), "mean"),
        ("strategy={name: weighted, tau: 0.5}", ("strategy", "options"), {"tau": 0.5}),
        ("strategy.tau=0.2", ("strategy", "options"), {"tau": 0.2}),
        ("teachers.0.weight=0.3", ("teachers", 0, "weight"), 0.3),
        ("teachers.1.weight=0.3", ("teachers", 1, "weight"), 0.3),
        ("teachers.1=convnet:8", ("teachers", 1, "model"), "convnet:8"),
        ("teachers.0.fit.epochs=4", ("teachers", 0, "fit", "epochs"), 4),
        ("teachers.0.input.size=32", ("teachers", 0, "input", "size"), 32),
        ("student.pretrained=true", ("student", "pretrained"), True),
        ("views=live", ("views", "count"), "live"),
        ("views.seed=3", ("views", "seed"), 3),
        ("data.labels=100", ("data", "labels"), 100),
        ("loss.class_weights=balanced", ("loss", "class_weights"), "balanced"),
    ],
)
def test_override_sets_key(registry: Registry, override: str, key: tuple[Any, ...], value: Any) -> None:
    Path("r.yaml").write_text(YAML)
    found: Any = read("r.yaml", [override], registry)[0]
    for part in key:
        found = found[part] if isinstance(part, int) else getattr(found, part)
    assert found == value


def test_override_keeps_shorthand_fit(registry: Registry) -> None:
    raw = yaml12.load(YAML, "r")
    apply(raw, "teachers.0.fit=head")
    apply(raw, "teachers.0.fit.epochs=4")
    fit = validate(raw, "r").teachers[0].fit
    assert fit is not None
    assert (fit.train, fit.epochs) == ("head", 4)


@pytest.mark.parametrize(
    ("override", "says", "hint"),
    [
        ("train.epochs", "'train.epochs' is not key=value", "for example train.epochs=3"),
        ("=3", "is not key=value", ""),
        ("train..epochs=3", "is not key=value", ""),
        ("teachers.2.weight=1", "the list has no index '2'", "valid indexes: 0 to 1"),
        ("teachers.-1.weight=1", "the list has no index '-1'", ""),
        ("teachers.first=1", "the list has no index 'first'", ""),
        ("teachers.1.weight.more=1", "teachers.1.weight is 1, which has no keys", ""),
        ("train={", "invalid YAML", ""),
    ],
)
def test_rejects_invalid_override(registry: Registry, override: str, says: str, hint: str) -> None:
    Path("r.yaml").write_text(YAML)
    with pytest.raises(RecipeError) as caught:
        read("r.yaml", [override, "train=oops=", "also bad"], registry)
    first, *_, last = caught.value.problems
    assert says in first.what
    assert hint in first.hint
    assert "'also bad'" in last.what, "all wrong overrides are named, not only the first"


def test_reports_all_errors_at_once(registry: Registry) -> None:
    Path("r.yaml").write_text("""
        task: clasification
        data: {name: digits, lables: 100}
        teachers: ["resnt:8", {model: mlp:8, weigth: 1}]
        strategy: {name: weighted, ta: 0.1}
        train: {epochs: many}
    """)
    with pytest.raises(RecipeError) as caught:
        read("r.yaml", [], registry)
    assert {(p.where, p.what, p.hint) for p in caught.value.problems} == {
        ("r.yaml: task", "no 'clasification' in tasks", "did you mean 'classification'?"),
        ("r.yaml: data.lables", "unknown key 'lables'", "did you mean 'labels'?"),
        ("r.yaml: teachers.0.model", "no 'resnt' in teachers", "did you mean 'resnet'?"),
        ("r.yaml: teachers.1.weigth", "unknown key 'weigth'", "did you mean 'weight'?"),
        ("r.yaml: strategy.ta", "unknown key 'ta'", "did you mean 'tau'?"),
        (
            "r.yaml: student",
            "the key 'student' is missing",
            "add it; mtkd list recipes lists complete recipes, mtkd show recipe NAME prints one",
        ),
        ("r.yaml: train.epochs", "train.epochs: must be a whole number", "it is 'many'"),
    }


@pytest.mark.parametrize(
    ("reference", "says", "hint"),
    [
        ("digts", "no 'digts' in recipes", "did you mean 'digits'?"),
        ("none.yaml", "no recipe file none.yaml", "mtkd list recipes"),
        ("train.epochs=3", "the recipe is missing", "mtkd distill RECIPE train.epochs=3"),
        ("notes.txt", "'notes.txt' is not a recipe", "ends in .yaml, .yml, .toml"),
        ("list.yaml", "a recipe must be a mapping of keys", "mtkd show recipe"),
        ("empty.yaml", "a recipe must be a mapping of keys", ""),
        ("latin.yaml", "cannot be read", "UTF-8"),
        ("folder.yaml", "the recipe is a folder", "pass a YAML or TOML file"),
        ("pipe.yaml", "the recipe is a pipe or a device", ""),
        ("device.yaml", "the recipe is a pipe or a device", ""),
        ("bad.toml", "invalid TOML", ""),
        ("deep.toml", "invalid TOML", ""),
        ("huge.yaml", "too large", "check the path"),
        ("x" * 5000 + ".yaml", "cannot be read", ""),
        ("nul\0.yaml", "cannot be read", ""),
    ],
)
def test_rejects_invalid_file(registry: Registry, reference: str, says: str, hint: str) -> None:
    Path("notes.txt").write_text("hello")
    Path("list.yaml").write_text("- a\n")
    Path("empty.yaml").write_text("# nothing\n")
    Path("latin.yaml").write_bytes("task: caf\xe9".encode("latin-1"))
    Path("folder.yaml").mkdir()
    os.mkfifo("pipe.yaml")
    Path("device.yaml").symlink_to("/dev/zero")
    Path("bad.toml").write_text("a = = 1")
    Path("deep.toml").write_text("a = " + "[" * 5000)
    Path("huge.yaml").write_text("# " + "x" * 1_000_001)
    with pytest.raises(UsageError) as caught:
        read(reference, [], registry)
    assert says in caught.value.what
    assert hint in caught.value.hint


KEYS = st.sampled_from([*Recipe.model_fields, *Teacher.model_fields, *Data.model_fields, "lr", "tau", "x"])
VALUES = st.sampled_from(
    ["digits", "weighted", "classification", "mlp:8", "mlp:", ":8", "::", "python:", "0"]
)
scalars = st.none() | st.booleans() | st.integers(-3, 3) | st.floats() | VALUES | st.text(max_size=3)
structures = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4)
)
GOOD = yaml12.load(YAML, "r")


@given(st.dictionaries(KEYS, structures, max_size=5), st.booleans())
def test_any_structure_is_valid_or_recipe_error(
    registry: Registry, raw: dict[str, Any], on_a_good_one: bool
) -> None:
    whole = {**copy.deepcopy(GOOD), **raw} if on_a_good_one else raw
    before = copy.deepcopy(raw)
    try:
        resolve(validate(whole, "r"), registry, "r")
    except RecipeError as error:
        assert error.problems
    assert unknown_names(whole, registry, "r") is not None
    assert repr(raw) == repr(before)


@given(st.lists(KEYS | st.sampled_from(["0", "1", "7", "", "-1"]), max_size=4), st.text(max_size=8))
def test_any_override_is_applied_or_usage_error(registry: Registry, path: list[str], value: str) -> None:
    raw = copy.deepcopy(GOOD)
    try:
        apply(raw, f"{'.'.join(path)}={value}")
        resolve(validate(raw, "r"), registry, "r")
    except MtkdError:
        pass
