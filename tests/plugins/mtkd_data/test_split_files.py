"""Files of each split: folders, words in names, patterns."""

from __future__ import annotations

from pathlib import Path

import pytest

from mtkd_cli.errors import DataError, UsageError
from mtkd_data.split_files import MOST_FILES, split_files


def touch(*names: str) -> None:
    for name in names:
        path = Path("d", name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def found(path: str) -> dict[str, list[str]]:
    return {
        split: [file.as_posix() for file in files] for split, files in split_files(path, (".tar",)).items()
    }


def test_files_without_a_split_are_for_training() -> None:
    touch("b.tar", "a.tar", "more/c.tar", "notes.txt", ".hidden.tar", ".git/x.tar")
    assert found("d") == {"train": ["d/a.tar", "d/b.tar", "d/more/c.tar"]}


@pytest.mark.parametrize(
    ("names", "splits"),
    [
        (("train/0.tar", "val/0.tar", "test/0.tar"), ("train", "val", "test")),
        (("train-000.tar", "validation-000.tar"), ("train", "val")),
        (
            ("photos-train-0000.tar", "photos-valid-00.tar", "photos-unlabelled-0.tar"),
            ("train", "val", "unlabeled"),
        ),
        (("data/train-0-of-2.tar", "data/test-0-of-2.tar"), ("train", "test")),
        (("default/train/0000.tar", "default/test/0000.tar"), ("train", "test")),
        (("train2017.tar", "val2017.tar"), ("train", "val")),
        (("Train_1.tar", "TEST_1.tar"), ("train", "test")),
    ],
)
def test_splits_by_folders_and_words(names: tuple[str, ...], splits: tuple[str, ...]) -> None:
    touch(*names)
    assert found("d") == {split: [f"d/{name}"] for split, name in zip(splits, names, strict=True)}


def test_words_inside_of_words_are_no_splits() -> None:
    touch("pretrain-0.tar", "trainer-1.tar", "latest.tar", "interval.tar", "train-val.tar")
    assert list(found("d")) == ["train"]
    assert len(found("d")["train"]) == 5


def test_folder_decides_before_the_name() -> None:
    touch("train/test-0.tar", "val/train-0.tar")
    assert found("d") == {"train": ["d/train/test-0.tar"], "val": ["d/val/train-0.tar"]}


def test_patterns() -> None:
    touch(*(f"train-{n:03}.tar" for n in range(12)), "val-000.tar")
    assert found("d/train-{000..002}.tar")["train"] == [f"d/train-{n:03}.tar" for n in range(3)]
    assert found("d/train-{001,011}.tar")["train"] == [
        "d/train-001.tar",
        "d/train-011.tar",
    ]
    assert len(found("d/train-*.tar")["train"]) == 12
    assert list(found("d/*.tar")) == ["train", "val"]
    assert found("d/val-*.tar") == {"train": ["d/val-000.tar"]}, (
        "a pattern of one split is what was asked for"
    )
    assert found("d/val-000.tar") == {"train": ["d/val-000.tar"]}
    assert found("d/{val,train}-00[01].tar") == {
        "train": ["d/train-000.tar", "d/train-001.tar"],
        "val": ["d/val-000.tar"],
    }


def test_links_are_followed_and_loops_end() -> None:
    touch("train/0.tar", "real.txt")
    Path("elsewhere").mkdir()
    Path("elsewhere/1.tar").touch()
    Path("d/val").symlink_to(Path("elsewhere").absolute())
    assert found("d") == {"train": ["d/train/0.tar"], "val": ["d/val/1.tar"]}
    Path("d/train/loop").symlink_to(Path("d/train").absolute())
    with pytest.raises(DataError, match="in two folders"):
        found("d")


@pytest.mark.parametrize(
    ("names", "what"),
    [
        (("train-0.tar", "other-0.tar"), "other-0.tar does not say its split"),
        (("val-0.tar", "test-0.tar"), "none of train"),
        (("a/train-0.tar", "b/train-0.tar"), "in two folders: d/a and d/b"),
        ((), "no .tar files in d"),
    ],
)
def test_contradictory_names_are_errors(names: tuple[str, ...], what: str) -> None:
    Path("d").mkdir()
    touch(*names)
    with pytest.raises(DataError, match=what) as caught:
        found("d")
    assert caught.value.hint


@pytest.mark.parametrize("path", ["nowhere", "nowhere/*.tar", "d/train-{0..2}.tar"])
def test_missing_files_are_named(path: str) -> None:
    touch("train-0.tar", "train-1.tar")
    with pytest.raises(DataError, match=r"no file( or folder)? (nowhere|d/train-2)"):
        found(path)


@pytest.mark.parametrize(
    "path",
    ["d/{0..9", "d/{9..0}.tar", f"d/{{0..{MOST_FILES}}}", "d/{0..9999}{0..9999}", "s3://b/{0..9}.tar"],
)
def test_invalid_patterns_are_errors(path: str) -> None:
    with pytest.raises(UsageError) as caught:
        found(path)
    assert caught.value.hint


def test_a_file_whose_name_looks_like_a_pattern() -> None:
    touch("a[1].tar")
    assert found("d/a[1].tar") == {"train": ["d/a[1].tar"]}
