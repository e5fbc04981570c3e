"""Keys in a file of predictions match samples by id or by the end of a path, if that is unambiguous."""

from __future__ import annotations

import pytest

from mtkd_cli.errors import DataError
from mtkd_cli.teachers.prediction_keys import match_rows

IDS = ("train/cat/1.png", "train/cat/2.JPG", "train/dog/3.png")


def match(*keys: str, ids: tuple[str, ...] = IDS) -> list[int]:
    return match_rows({key: row for row, key in enumerate(keys)}, ids, "teacher 'api', p.csv")


@pytest.mark.parametrize(
    "keys",
    [
        IDS,
        ("cat/1.png", "cat/2.JPG", "dog/3.png"),
        ("1.png", "2.JPG", "3.png"),
        ("train/cat/1", "cat/2", "3"),
        ("/data/photos/train/cat/1.png", "./train/cat/2.JPG", "photos/train/dog/3"),
        ("C:\\photos\\train\\cat\\1.png", "cat\\2.JPG", "dog\\3"),
    ],
)
def test_matches_ids_and_ends_of_paths(keys: tuple[str, ...]) -> None:
    assert match(*keys) == [0, 1, 2]
    assert match(*keys[::-1]) == [2, 1, 0]


def test_only_whole_parts_of_a_path_match() -> None:
    assert match("11.png", "at/2.JPG", "x-train/dog/3.png") == [-1, -1, -1]
    assert match("val/cat/1.png", "cat/2.png", "3.png.png") == [-1, -1, -1]


def test_an_id_is_preferred_to_a_path() -> None:
    assert match("1.png", "cat/1.png", "a/1.png", ids=("1.png",)) == [0]
    assert match("x/digits-3", "digits-3", ids=("digits-3",)) == [1]


@pytest.mark.parametrize(
    ("keys", "ids"),
    [
        (("a/cat/1.png", "b/cat/1.png"), ("cat/1.png",)),
        (("1.png", "cat/1.png"), ("train/cat/1.png",)),
        (("1", "1.png"), ("cat/1.png",)),
        (("cat/1.png", "cat\\1"), ("train/cat/1.png",)),
    ],
)
def test_names_ambiguous_keys(keys: tuple[str, ...], ids: tuple[str, ...]) -> None:
    with pytest.raises(DataError) as error:
        match(*keys, ids=ids)
    assert error.value.what == f"2 predictions match the sample {ids[0]!r}: {', '.join(keys)}"
    assert "mtkd samples" in error.value.hint


def test_matches_many_samples() -> None:
    ids = tuple(f"train/class-{number % 100}/{number}.png" for number in range(20_000))
    assert match(*(f"/data/{name}" for name in ids), ids=ids) == list(range(len(ids)))
