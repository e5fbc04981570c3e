"""YAML 1.2, strictly: what a person writes is what is read, or an error that says where."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mtkd_cli.errors import MtkdError, UsageError
from mtkd_cli.files.yaml12 import dump, load

scalars = st.none() | st.booleans() | st.integers(-(10**30), 10**30) | st.floats(allow_nan=False) | st.text()
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4)
)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 0.001),
        ("1.5E3", 1500.0),
        (".5", 0.5),
        ("-7", -7),
        ("007", 7),
        ("0o17", 15),
        ("0xff", 255),
        (".inf", math.inf),
        ("-.inf", -math.inf),
        ("1_000", "1_000"),
        ("12:30:45", "12:30:45"),
        ("2026-01-02", "2026-01-02"),
        ("no", "no"),
        ("Yes", "Yes"),
        ("on", "on"),
        ("off", "off"),
        ("y", "y"),
        ("True", "True"),
        ("true", True),
        ("false", False),
        ("null", None),
        ("~", None),
        ("", None),
        ("Null", "Null"),
        ("'1'", "1"),
        ("convnet:8-16", "convnet:8-16"),
        ("<<", "<<"),
        ("[3e-3, 1e-2]", [0.003, 0.01]),
    ],
)
def test_scalars_follow_yaml_1_2(text: str, value: Any) -> None:
    read = load(text, "r.yaml")
    assert read == value
    assert type(read) is type(value)


def test_keys_are_strings() -> None:
    assert load("{1: a, no: b, null: c, 1e-3: d}", "r") == {"1": "a", "no": "b", "null": "c", "1e-3": "d"}


@pytest.mark.parametrize(
    ("text", "says", "where"),
    [
        ("a: 1\nb: 2\na: 3\n", "duplicate key 'a'", "line 3, column 1"),
        ("a: {b: 1, b: 2}", "duplicate key 'b'", "line 1, column 11"),
        ("a: &x [1]\nb: *x\n", "aliases are not allowed", "line 2, column 4"),
        ("a: !!python/object/apply:os.system ['x']", "tags are not allowed", "line 1, column 4"),
        ("a: !!int abc", "tags are not allowed", "line 1, column 4"),
        ("[a]: 1", "a key must be a word", "line 1, column 1"),
        ("a: [1, 2\nb: 3", "invalid YAML", "line 2"),
        ("a: 1\n---\nb: 2\n", "invalid YAML", "line 2"),
        ("a: \x07", "invalid YAML", "r.yaml"),
        ("a: " + "9" * 5000, "too many digits", "line 1, column 4"),
        ("[" * 5000, "nested too deeply", "r.yaml"),
        ("a:\n\t- b", "invalid YAML", "line 2, column 1"),
    ],
)
def test_rejects_with_line_and_column(text: str, says: str, where: str) -> None:
    with pytest.raises(UsageError) as caught:
        load(text, "r.yaml")
    assert says in caught.value.what
    assert "r.yaml" in caught.value.where
    assert where in caught.value.where


@given(values)
def test_dump_round_trips(value: Any) -> None:
    assert load(dump(value), "r") == value


@given(
    st.text(alphabet=st.sampled_from("ab01:-[]{},'\"#&*!|>%@ \n\t.e~<?"), max_size=40) | st.text(max_size=40)
)
def test_any_text_loads_or_raises_usage_error(text: str) -> None:
    try:
        load(text, "r")
    except MtkdError as error:
        assert "\n" not in error.what
