"""Numbers keep significant digits, whatever their scale."""

import json
import math

import pytest

from mtkd_cli.interfaces.significant_digits import format_number, round_or_none, without_nan


@pytest.mark.parametrize("value", [1.23456789e-18, 0.123456789, 1234567.89, -3.3e-7, 0.0])
def test_seven_digits_are_kept_at_any_scale(value: float) -> None:
    assert round_or_none(value) == pytest.approx(value, rel=1e-6, abs=0)


def test_what_is_not_finite_is_none_in_json() -> None:
    assert round_or_none(math.nan) is round_or_none(math.inf) is round_or_none(None) is None
    assert json.dumps(without_nan({"a": [math.nan, 1.5, {"b": -math.inf}], "c": 2}), allow_nan=False) == (
        '{"a": [null, 1.5, {"b": null}], "c": 2}'
    )


def test_numbers_for_people_show_enough_digits() -> None:
    assert [format_number(v) for v in (0.96481, 54.1234567, 0.0, 0.0045, 1.41123e-19, 1234567.8)] == [
        "0.9648",
        "54.1235",
        "0.0000",
        "0.0045",
        "1.411e-19",
        "1234568",
    ]
    assert format_number(0.00712, 0.9648, "+") == "+0.0071"  # a difference of scores, as they are written
    assert format_number(7.12e-22, 1.4e-19, "+") == "+7.12e-22"
    assert format_number(None) == format_number(math.nan) == "undefined"
