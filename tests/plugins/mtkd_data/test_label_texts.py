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
    assert class_numbers(train, others, names) == (expected_names, {**expected, "": -1, "-1": -1})


@pytest.mark.parametrize(
    ("labels", "names", "invalid"),
    [
        (["0", "5"], ("cat", "dog"), "5"),
        (["cat", "cow"], ("cat", "dog"), "cow"),
        (["0", "cat"], ("cat", "dog"), "0"),
        (["0", "-2"], None, "-2"),
    ],
)
def test_invalid_labels_have_no_number(
    labels: list[str], names: tuple[str, ...] | None, invalid: str
) -> None:
    train = [label for label in labels if names or label != invalid] + ([] if names else ["1"])
    assert invalid not in class_numbers(train, labels, names)[1]


@pytest.mark.parametrize(
    ("train", "names", "what"),
    [
        (["0", "1"], ("1", "0"), "may be a class number or a class name"),
        (["cat"], None, "only the class 'cat'"),
        (["", "-1"], None, "no classes"),
        (["0"], None, "only the class '0'"),
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
    with pytest.raises(DataError, match="no class names") as caught:
        class_names(["nowhere.txt"], Path())
    assert caught.value.where == "nowhere.txt"
