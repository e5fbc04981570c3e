"""Names below a common folder, whatever characters they have."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from mtkd_cli.errors import DataError
from mtkd_cli.files import file_listing
from mtkd_cli.files.file_listing import list_files, split_names


@pytest.mark.parametrize(
    ("paths", "root"),
    [
        (["a/x/1", "a/x/2"], "a/x/"),
        (["a/x/1", "a/y/1"], "a/"),
        (["a/x/1", "a/xy/1", "a/x.d/1"], "a/"),
        (["a/b.c", "a/b/c"], "a/"),
        (["a/1"], "a/"),
        (["1", "a/1"], ""),
        (["1"], ""),
    ],
)
def test_root_is_the_common_folder(paths: list[str], root: str) -> None:
    for path in paths:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).touch()
    listing = list_files([Path(path) for path in paths])
    assert listing.root == root
    assert listing.join_names(np.ones(len(paths), bool)) == b"".join(
        path.removeprefix(root).encode() + b"\0" for path in paths
    )
    absolute = list_files([Path(path).absolute() for path in paths])
    assert absolute.root == f"{Path(root).absolute()}/"
    assert absolute.hashes.tolist() == listing.hashes.tolist()


@pytest.mark.parametrize("block", [1, 2, 3, 100])
def test_names_return_in_order(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file_listing, "NAMES_A_BLOCK", block)
    names = ["line\nbreak", "ä", os.fsdecode(b"\xff not UTF-8"), " ", "sub/a"]
    Path("sub").mkdir()
    paths = [Path(name) for name in names]
    for path in paths:
        path.touch()
    listing = list_files(paths)
    keep = np.array([True, True, True, False, True])
    joined = listing.join_names(keep)
    found = [name for block in split_names(joined) for name in block]
    assert found == [name for name in names if name != " "]
    assert file_listing.name_hashes(found).tolist() == listing.hashes[keep].tolist()
    assert list(split_names(b"")) == []


def test_names_missing_file() -> None:
    Path("a").touch()
    with pytest.raises(DataError) as error:
        list_files([Path("a"), Path("b")])
    assert error.value.where == "b"
