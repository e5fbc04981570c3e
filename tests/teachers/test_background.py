"""Class numbers of detectors get the right names, or a remark says that the numbering is assumed."""

from __future__ import annotations

from typing import Any

import pytest

from mtkd_cli.errors import DataError
from mtkd_cli.teachers.background import BACKGROUND_NAME, lists_background, number_classes

RGB = ("red", "green", "blue")
WITH = (BACKGROUND_NAME, *RGB)


def number(*seen: int, **more: Any) -> Any:
    given: dict[str, Any] = {"is_listed": False, "declared": None, "outputs": None, "has_background": None}
    return number_classes(RGB, seen=set(seen), where="teacher 't'", **(given | more))


@pytest.mark.parametrize(
    ("seen", "keys", "names", "is_sure", "has_remark"),
    [
        ((0, 1), {}, RGB, True, False),
        ((1, 3), {}, WITH, True, True),
        ((1, 2), {}, RGB, False, True),
        ((), {}, RGB, False, True),
        ((1, 2), {"outputs": 4}, WITH, False, True),
        ((0, 1, 2), {"outputs": 4}, RGB, True, False),
        ((1, 2), {"outputs": 3}, RGB, True, False),
        ((1, 2), {"is_listed": True}, WITH, True, False),
        ((1, 2), {"is_listed": True, "outputs": 4}, WITH, True, False),
        ((0, 2), {"declared": "first"}, WITH, True, True),
        ((1, 2), {"declared": "none"}, RGB, True, False),
        ((1, 2), {"declared": "none", "is_listed": True}, RGB, True, False),
        ((1, 2), {"has_background": False, "declared": "first", "outputs": 3}, RGB, True, False),
        ((1, 2), {"has_background": True, "outputs": 4}, WITH, True, False),
    ],
)
def test_names_class_numbers(
    seen: tuple[int, ...], keys: dict[str, Any], names: tuple[str, ...], is_sure: bool, has_remark: bool
) -> None:
    found = number(*seen, **keys)
    assert (found.classes, found.is_sure, bool(found.remark)) == (names, is_sure, has_remark)


@pytest.mark.parametrize(
    ("seen", "keys", "what"),
    [
        ((0, 3), {}, "class numbers 0 and 3, but only 3 class names"),
        ((0, 3), {"outputs": 4}, "class numbers 0 and 3, but only 3 class names"),
        ((4,), {}, "class number 4"),
        ((3,), {"declared": "none"}, "class number 3"),
        ((7,), {"is_listed": True}, "class number 7"),
        ((1,), {"outputs": 91}, "has 91 outputs but 3 class names"),
        ((1,), {"outputs": 3, "declared": "first"}, "has 3 outputs but 3 class names and the background"),
        ((1,), {"outputs": 2, "has_background": False}, "has 2 outputs but 3 class names"),
    ],
)
def test_rejects_unnamed_class_numbers(seen: tuple[int, ...], keys: dict[str, Any], what: str) -> None:
    with pytest.raises(DataError) as caught:
        number(*seen, **keys)
    assert what in caught.value.what
    assert caught.value.where == "teacher 't'"
    assert "classes:" in caught.value.hint


def test_background_can_be_a_class_of_the_data() -> None:
    assert lists_background(("__background__", "cat"), ("cat",))
    assert lists_background(("Background", "cat"), ("cat",))
    assert not lists_background(("background", "cat"), ("background", "cat"))
    assert not lists_background(("cat", "background"), ("cat",))
