"""Class names and numbers of labels that are texts."""

from __future__ import annotations

from pathlib import Path

import pytest

from mtkd_cli.errors import DataError, UsageError
from mtkd_data.label_texts import class_names, class_numbers


@pytest.mark.parametrize(
    ("train", "others", "names", "expected_names", "expected"),
    [
        (["dog", "cat"], ["cat"], None, ("cat", "dog"), {"cat": 0, "dog": 1}),
        (["2", "0"], ["3"], None, ("0", "1", "2", "3"), {"0": 0, "2": 2, "3": 3}),
        (["0", "1"], [], ("cat", "dog"), ("cat", "dog"), {"0": 0, "1": 1}),
        (["dog"], [], ("cat", "dog"), ("cat", "dog"), {"dog": 1}),
        (["1", "01"], [], None, ("0", "1"), {"1": 1, "01": 1}),
        (["1", "a"], [], None, ("1", "a"), {"1": 0, "a": 1}),
        (["3", "1"], ["2"], ("1", "2", "3"), ("1", "2", "3"), {"3": 2, "1": 0, "2": 1}),
        (["7", "3"], [], tuple("0123456789"), tuple("0123456789"), {"7": 7, "3": 3}),
        ([], [], ("cat", "dog"), ("cat", "dog"), {}),
    ],
)
def test_labels_are_names_or_numbers(
    train: list[str],
    others: list[str],
    names: tuple[str, ...] | None,
    expected_names: tuple[str, ...],
    expected: dict[str, int],
) -> None:
    found_names, number_of = class_numbers(train, others, names)
    assert found_names == expected_names
    assert {label: number_of[label] for label in (*train, *others)} == expected
    assert (number_of[""], number_of["-1"]) == (-1, -1)


@pytest.mark.parametrize(
    ("labels", "names", "invalid"),
    [
        (["0", "5"], ("cat", "dog"), "5"),
        (["cat", "cow"], ("cat", "dog"), "cow"),
        (["cat", "0"], ("cat", "dog"), "0"),
        (["0", "cat"], ("cat", "dog"), "cat"),
        (["0", "-2"], None, "-2"),
        (["0", "owl"], None, "owl"),
    ],
)
def test_labels_of_other_splits_may_be_invalid(
    labels: list[str], names: tuple[str, ...] | None, invalid: str
) -> None:
    train = [label for label in labels if label != invalid]
    number_of = class_numbers([*train, *([] if names else ["1"])], labels, names)[1]
    assert invalid not in number_of
    assert all(label in number_of for label in train)


def test_labels_may_be_known_to_be_names() -> None:
    assert class_numbers(["0", "1"], [], ("1", "0"), are_names=True)[1]["0"] == 1


@pytest.mark.parametrize(
    ("train", "names", "what"),
    [
        (["0", "1"], ("1", "0"), "may be a class number or a class name"),
        (["cat"], None, "only the class 'cat'"),
        (["", "-1"], None, "no classes"),
        (["0"], None, "only the class '0'"),
        (["a"], ("a", ""), "'' is not a class name"),
        (["0", "123456789"], None, "123,456,790 classes"),
    ],
)
def test_unclear_labels_are_errors(train: list[str], names: tuple[str, ...] | None, what: str) -> None:
    with pytest.raises(DataError, match=what) as caught:
        class_numbers(train, [], names)
    assert caught.value.hint


def test_names_come_from_the_option_or_a_file() -> None:
    assert class_names(None, Path()) is None
    Path("classes.txt").write_bytes("\ufeffcat\r\n\r\ndog\r\n".encode())
    assert class_names(None, Path()) == ("cat", "dog")
    assert class_names(["owl", 3], Path()) == ("owl", "3")
    Path("other.txt").write_text("a\nb\nc\n")
    assert class_names(["other.txt"], Path()) == ("a", "b", "c")


@pytest.mark.parametrize("names", [["a", "a"], []])
def test_invalid_names_are_errors(names: list[str]) -> None:
    with pytest.raises(UsageError):
        class_names(names, Path())


def test_missing_file_of_names_is_an_error() -> None:
    with pytest.raises(DataError, match="cannot be read") as caught:
        class_names(["nowhere.txt"], Path())
    assert caught.value.where == "nowhere.txt"
