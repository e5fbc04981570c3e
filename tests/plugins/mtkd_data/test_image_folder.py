"""Data source `image-folder`: layouts, links, names, order."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from mtkd_cli.errors import DataError, UsageError
from mtkd_cli.reading import images as decoding
from mtkd_cli.store.data_cache import StoreCache
from mtkd_data.image_folder import ImageFolder
from tests.fixtures.class_folders import load, save, two_classes


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return two_classes(tmp_path / "data")


@pytest.fixture(autouse=True)
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MTKD_STORE", str(tmp_path / "store"))


def test_class_folders(root: Path) -> None:
    data = load(root)
    assert data.classes == ("cat", "dog")
    assert data.train.ids[0] == "cat/0.png"
    assert data.train.targets.tolist() == [0, 0, 0, 1, 1, 1]
    assert data.train.inputs.shape == (6, 3, 8, 8)
    assert data.val is None
    assert data.test is None


@pytest.mark.parametrize("val", ["val", "valid", "validation"])
def test_split_folders(tmp_path: Path, val: str) -> None:
    for split in ("train", val, "test"):
        for label in ("cat", "dog"):
            save(tmp_path / "d" / split / label / "a.png")
    data = load(tmp_path / "d")
    assert data.val is not None
    assert data.test is not None
    assert data.train.ids == ("train/cat/a.png", "train/dog/a.png")
    assert data.val.ids == ("val/cat/a.png", "val/dog/a.png")
    assert len(data.test) == 2


def test_rejects_splits_without_train(tmp_path: Path) -> None:
    for split in ("val", "test"):
        save(tmp_path / "d" / split / "cat" / "a.png")
    with pytest.raises(DataError, match="but no train"):
        load(tmp_path / "d")


@pytest.mark.parametrize("inside", [True, False])
def test_unlabeled_folder_at_any_depth(root: Path, tmp_path: Path, inside: bool) -> None:
    extra = (root if inside else tmp_path) / "more"
    save(extra / "x" / "y" / "a.png")
    save(extra / "b.jpg")
    data = load(root, unlabeled=str(extra))
    assert data.classes == ("cat", "dog")
    assert data.train.ids[-2:] == ("unlabelled/b.jpg", "unlabelled/x/y/a.png")
    assert data.train.targets.tolist() == [0, 0, 0, 1, 1, 1, -1, -1]


def test_unlabeled_folder_belongs_to_train_only(tmp_path: Path) -> None:
    for split in ("train", "test"):
        for label in ("cat", "dog"):
            save(tmp_path / "d" / split / label / "a.png")
    save(tmp_path / "more" / "a.png")
    data = load(tmp_path / "d", unlabeled=str(tmp_path / "more"))
    assert data.test is not None
    assert (len(data.train), len(data.test)) == (3, 2)


def test_rejects_class_missing_from_train(tmp_path: Path) -> None:
    for folder in ("train/cat", "train/dog", "val/cat", "val/cow"):
        save(tmp_path / "d" / folder / "a.png")
    with pytest.raises(DataError, match="'cow' is in val but not in train"):
        load(tmp_path / "d")


def test_rejects_empty_class_folder(root: Path) -> None:
    (root / "cow").mkdir()
    with pytest.raises(DataError, match="'cow' has no PNG, JPEG, WebP, BMP or GIF images"):
        load(root)


def test_folder_names_that_are_not_utf8_are_escaped(root: Path) -> None:
    save(root / os.fsdecode(b"caf\xe9") / "a.png")
    data = load(root)
    assert data.classes == ("caf\\udce9", "cat", "dog")
    assert data.train.ids[0] == "caf\\udce9/a.png"
    assert data.train.targets[0] == 0
    assert all(name.encode() for name in (*data.classes, *data.train.ids))


@pytest.mark.parametrize(
    ("options", "message"),
    [({"path": "nowhere"}, "no folder nowhere"), ({"unlabeled": "nowhere"}, "no folder nowhere")],
)
def test_rejects_missing_folder(root: Path, options: dict[str, str], message: str) -> None:
    with pytest.raises(DataError, match=message):
        load(root, **options)


def test_upper_case_suffixes_and_hidden_files(root: Path) -> None:
    save(root / "cat" / "BIG.JPG", format="JPEG")
    save(root / "dog" / "a.JpEg", format="JPEG")
    (root / "cat" / "._0.png").write_bytes(b"no image")
    (root / "cat" / "notes.txt").write_text("no image")
    save(root / "cat" / ".thumbs" / "a.png")
    save(root / ".git" / "a.png")
    data = load(root)
    assert data.classes == ("cat", "dog")
    assert [i for i in data.train.ids if "a" in i.rpartition("/")[2].lower()] == ["dog/a.JpEg"]
    assert len(data.train) == 8


def test_follows_symlinks_without_loops(root: Path, tmp_path: Path) -> None:
    save(tmp_path / "elsewhere" / "z.png")
    (root / "cow").symlink_to(tmp_path / "elsewhere")
    (root / "cat" / "loop").symlink_to(root / "cat")
    (root / "cat" / "up").symlink_to(root / "cat" / "up")
    (root / "dog" / "self.png").symlink_to(root / "dog" / "self.png")
    data = load(root)
    assert data.classes == ("cat", "cow", "dog")
    assert len(data.train) == 7


def test_result_is_independent_of_workers(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    results = []
    for workers in (1, 7):
        monkeypatch.setenv("MTKD_STORE", str(tmp_path / f"store{workers}"))
        results.append(load(root, workers=workers).train)
    assert results[0].ids == results[1].ids
    np.testing.assert_array_equal(results[0].inputs, results[1].inputs)


def test_decodes_again_only_if_a_file_changes(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[Path] = []
    real = decoding.decode
    monkeypatch.setattr(decoding, "decode", lambda *what: calls.append(what[0]) or real(*what))
    first = load(root).train
    again = load(root).train
    assert len(calls) == 6
    np.testing.assert_array_equal(first.inputs, again.inputs)
    save(root / "cat" / "0.png")
    load(root)
    assert len(calls) == 12


def test_file_names_that_are_not_utf8(root: Path) -> None:
    not_utf8 = Path(str(root / "cat") + "/" + b"\xff.png".decode("utf-8", "surrogateescape"))
    try:
        save(not_utf8, format="PNG")
    except (OSError, UnicodeError):
        return  # the file system does not allow such names
    assert "cat/\\udcff.png" in load(root).train.ids


@pytest.mark.parametrize("target", ["..", "../dog", "../dog/deep", "../../elsewhere"])
def test_rejects_folder_links_out_of_class(root: Path, tmp_path: Path, target: str) -> None:
    """``cat/loop -> ..`` would label every dog as a cat."""
    save(tmp_path / "elsewhere" / "z.png")
    save(root / "dog" / "deep" / "y.png")
    (root / "cat" / "loop").symlink_to(target)
    with pytest.raises(DataError, match="leads outside") as caught:
        load(root)
    assert caught.value.where == str(root / "cat" / "loop")
    assert caught.value.hint


@pytest.mark.parametrize("target", ["dog", "dog/deep", ".", ".."])
def test_rejects_class_folder_linked_to_other_class(root: Path, target: str) -> None:
    save(root / "dog" / "deep" / "y.png")
    (root / "cow").symlink_to(target)
    with pytest.raises(DataError, match="the link leads to") as caught:
        load(root)
    assert caught.value.where == str(root / "cow")


def test_rejects_linked_image_of_another_class(root: Path, tmp_path: Path) -> None:
    save(tmp_path / "elsewhere" / "z.png")
    (root / "cat" / "z.png").symlink_to(tmp_path / "elsewhere" / "z.png")
    before = len(load(root).train)
    (tmp_path / "linked").symlink_to(root)
    assert len(load(tmp_path / "linked").train) == before
    (root / "cat" / "dog.png").symlink_to(next((root / "dog").glob("*.png")))
    with pytest.raises(DataError, match="image of another class") as caught:
        load(root)
    assert caught.value.where == str(root / "cat" / "dog.png")


def split_folders(root: Path, *names: str) -> Path:
    """Write split folders with the classes cat and dog, of two images each."""
    for name in names:
        for label in ("cat", "dog"):
            for number in range(2):
                save(root / name / label / f"{number}.png")
    return root


@pytest.mark.parametrize("name", ["unlabeled", "unlabelled"])
def test_unlabeled_folder_beside_splits_is_used_and_said(tmp_path: Path, name: str) -> None:
    root = split_folders(tmp_path / "d", "train", "val")
    save(root / name / "deep" / "x.png")
    said: list[str] = []
    settings = {"size": 8, "channels": 3, "on_bad_sample": "error", "workers": 2}
    data = ImageFolder(str(root), None, **settings).load(StoreCache(tmp_path, say=said.append))
    assert data.train.ids[-1] == "unlabelled/deep/x.png"
    assert data.train.targets.tolist() == [0, 0, 1, 1, -1]
    assert any(f"{root / name} is used for training without labels" in line for line in said)
    assert len(load(root, unlabeled="none").train) == 4
    save(tmp_path / "more" / "y.png")
    assert load(root, unlabeled=str(tmp_path / "more")).train.ids[-1] == "unlabelled/y.png"


def test_two_unlabeled_folders_are_an_error(tmp_path: Path) -> None:
    root = split_folders(tmp_path / "d", "train")
    for name in ("unlabeled", "unlabelled"):
        save(root / name / "x.png")
    with pytest.raises(UsageError, match="may be the unlabeled images"):
        load(root)


def test_unlabeled_folder_beside_class_folders_is_a_class_and_said(root: Path) -> None:
    save(root / "unlabeled" / "x.png")
    said: list[str] = []
    settings = {"size": 8, "channels": 3, "on_bad_sample": "error", "workers": 2}
    data = ImageFolder(str(root), None, **settings).load(StoreCache(root.parent, say=said.append))
    assert data.classes == ("cat", "dog", "unlabeled")
    assert "is a class" in said[0]


def test_split_without_class_folders_has_no_labels(tmp_path: Path) -> None:
    root = split_folders(tmp_path / "d", "val", "test")
    for number in range(3):
        save(root / "train" / f"{number}.png")
    data = load(root)
    assert data.classes == ("cat", "dog")
    assert data.train.ids == ("train/0.png", "train/1.png", "train/2.png")
    assert data.train.targets.tolist() == [-1, -1, -1]
    assert data.val is not None
    assert data.val.targets.tolist() == [0, 0, 1, 1]


def test_flat_folder_needs_class_names(tmp_path: Path) -> None:
    save(tmp_path / "d" / "a.png")
    with pytest.raises(DataError, match="0 class folders") as caught:
        load(tmp_path / "d")
    assert "data.classes" in caught.value.hint
    data = load(tmp_path / "d", classes=["cat", "dog"])
    assert (data.classes, data.train.ids, data.train.targets.tolist()) == (("cat", "dog"), ("a.png",), [-1])


def test_class_names_by_option(root: Path) -> None:
    data = load(root, classes=["owl", "dog", "cat"])
    assert data.classes == ("owl", "dog", "cat")
    assert data.train.ids[0] == "dog/0.png"
    assert data.train.targets.tolist() == [1, 1, 1, 2, 2, 2]
    with pytest.raises(DataError, match=r"class 'dog' is in data but not in data\.classes"):
        load(root, classes=["owl", "cat"])
