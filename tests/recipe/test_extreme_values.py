"""Extreme and wrong values of any key: a message and an exit code as promised, never a traceback."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mtkd_cli.errors import RecipeError
from mtkd_cli.files import yaml12
from mtkd_cli.plugin.registry import discover
from mtkd_cli.recipe.json_schema import json_schema
from mtkd_cli.recipe.keys import keys_of
from mtkd_cli.recipe.options import check_options
from mtkd_cli.recipe.reader import validate
from mtkd_cli.specs import Option
from tests.fixtures.command_line import mtkd
from tests.recipe.test_schema import small

KEYS = [
    *("strategy.tau", "task.kd", "task.dkd_alpha", "trackers", "teachers", "augment", "data.path"),
    *(key.name for key in keys_of("digits", [], discover(third_party=False))),
]
WHOLE = [0, -1, 1, 2, 7, 10**6, 10**9, 2**31, 2**63, 2**64, 10**400]
BROKEN = [0.5, -0.0, 1e-300, 1e300, 5e-324, float("inf"), float("-inf"), float("nan")]
TEXTS = [
    "",
    "0",
    "auto",
    "none",
    "head",
    "digits",
    "mlp:8",
    "python:",
    ":",
    "../..",
    "\0",
    "é\n\t🙂",
    "x" * 5000,
]
SCALARS = st.sampled_from([*WHOLE, *BROKEN, *TEXTS, None, True, False])
VALUES = SCALARS | st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["name", "model", "0", "é"]), inner, max_size=2)
    ),
    max_leaves=4,
)
PROMISED = (0, 2, 3, 4)
"""Exit codes of a dry run: done, a wrong recipe, unusable data or models, full memory."""


@settings(max_examples=100)
@given(st.sampled_from(KEYS), VALUES)
@example("train.epochs", int("9" * 500))
@example("views.count", 1_000_000)
@example("student.input.size", 1_000_000_000)
@example("loss.class_weights", [-1, 1])
@example("loss.class_weights", [1e300] * 10)
@example("teachers.0.checkpoint", "\0")
@example("teachers.0.checkpoint", "x" * 5000)
@example("strategy.tau", None)
def test_any_value_of_any_key_gets_promised_exit_code(key: str, value: Any) -> None:
    result = mtkd("distill", "digits", f"{key}={yaml12.dump_inline(value)}", "--dry-run")
    assert result.exit_code in PROMISED
    if result.exit_code:
        assert "error: " in result.stderr


def without_limits(schema: Any, where: str = "") -> list[str]:
    """The types of numbers in a JSON schema for which neither they nor a type around them has a maximum."""
    if isinstance(schema, dict) and {"maximum", "exclusiveMaximum", "enum"} & set(schema):
        return []
    own = [where] if isinstance(schema, dict) and schema.get("type") in ("integer", "number") else []
    inner = (
        schema.items() if isinstance(schema, dict) else enumerate(schema) if isinstance(schema, list) else ()
    )
    return own + [found for name, part in inner for found in without_limits(part, f"{where}/{name}")]


def test_every_number_of_the_schema_has_limits() -> None:
    # the numbers in `classes` are checked when the data are known
    assert without_limits(json_schema()["$defs"]) == [
        f"/{section}/properties/classes/anyOf/0/items/anyOf/1" for section in ("Fit", "Teacher")
    ]


def test_every_number_of_a_plugin_has_limits() -> None:
    for entry in discover(third_party=False).entries:
        for option in (o for o in entry.spec.options if o.type in (int, float)):
            assert None not in (option.minimum, option.maximum), f"{entry.spec.name}: {option.name}"


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({"train": {"epochs": 10**500}}, "at most 1,000,000: the training would not end"),
        (
            {"student": {"model": "mlp:4", "input": {"size": 10**9}}},
            "at most 4,096: larger images do not fit",
        ),
        ({"student": {"model": "mlp:4", "input": {"crop": 0.01}}}, "at least 0.1: images are resized to"),
        ({"views": 1_000_000}, "at most 1,000: each is recorded"),
        ({"loss": {"temperature": 1e-9}}, "at least 0.001: it divides logits"),
        ({"loss": {"class_weights": [1e300, 1]}}, "at most 1,000,000: weights are relative"),
        ({"loss": {"class_weights": [-1, 1]}}, "must be at least 0"),
        ({"loss": {"class_weights": [0, 0]}}, "at least one weight must be above 0"),
        ({"train": {"lr": [0.1] * 101}}, "must have at most 100 items"),
        (
            {"data": {"name": "digits", "seed": 2**63}},
            "at most 9,223,372,036,854,775,807: a seed has 63 bits",
        ),
    ],
)
def test_message_has_the_limit_and_its_reason(more: dict[str, Any], says: str) -> None:
    with pytest.raises(RecipeError) as caught:
        validate(small(**more), "r")
    (problem,) = caught.value.problems
    assert says in problem.what
    assert len(problem.hint) < 80


def test_message_of_an_option_has_the_limit_and_its_reason() -> None:
    known = (Option("size", int, 8, "in pixels", maximum=1024, reason="memory"), Option("tau", float, 0.1))
    _, problems = check_options({"size": 10**300, "tau": None}, known, "r")
    assert [problem.what for problem in problems] == [
        f"size: must be at most 1,024: memory; it is 1{'0' * 56}...",
        "tau: must be float, it is None",
    ]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("distill", "digits", "--threads", 10**30), "no machine has so many"),
        (("distill", "digits", "--processes", 10**6), "at most 256"),
        (("distill", "digits", "--seeds", 10**6), "trains all students again"),
        (("store", "prune", "--megabytes", "inf"), "no disk is so large"),
        (("store", "prune", "--days", "1e300"), "no item is so old"),
    ],
)
def test_numbers_of_the_command_line_have_limits(arguments: tuple[Any, ...], says: str) -> None:
    result = mtkd(*arguments, COLUMNS="200")
    assert (result.exit_code, result.stdout) == (2, "")
    assert says in result.stderr
