"""All data files that manifests know are read, and files that changed without a trace are found."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import numpy as np
import pytest

from mtkd_cli.store import content_store, file_manifest
from mtkd_cli.store.described_files import describe_files
from mtkd_cli.store.verified_files import VerifiedFiles, verify_files

FIELDS = np.dtype([("sha256", np.uint8, 32)])


@pytest.fixture
def files() -> list[Path]:
    paths = [Path(f"data/{number}") for number in range(6)]
    Path("data").mkdir()
    for path in paths:
        path.write_bytes(str(path).encode())
    return paths


def describe(files: list[Path]) -> int:
    """Describe files; return how many are read for it. The random sample is one of them if none is new."""
    read = []

    def one(content: bytes) -> tuple[bytes]:
        read.append(content)
        return (hashlib.sha256(content).digest(),)

    describe_files(files, one, FIELDS, "1")
    return len(read)


def verify() -> list[VerifiedFiles]:
    return list(verify_files(lambda line: None))


def damage(row: int) -> None:
    (folder,) = (content_store.root() / file_manifest.KIND).glob("[!.]*")
    manifest = file_manifest.load(folder)
    assert manifest is not None
    manifest.records["sha256"][row, 0] ^= 1
    file_manifest.save(file_manifest.key_of("data/", "1", FIELDS), manifest)


def test_counts_intact_changed_and_missing_files(files: list[Path]) -> None:
    assert verify() == []
    describe(files)
    root = str(Path("data").absolute())
    assert verify() == [VerifiedFiles(root, 6, 0, 0, ())]
    os.utime(files[0])
    files[1].unlink()
    files[2].write_bytes(b"longer than before")
    assert verify() == [VerifiedFiles(root, 3, 2, 1, ())]
    Path("data").rename("elsewhere")
    assert verify() == [VerifiedFiles(root, 0, 0, 6, ())]


def test_damaged_file_is_named_and_read_again_by_the_next_run(files: list[Path]) -> None:
    describe(files)
    damage(4)
    (found,) = verify()
    assert (found.intact, found.damaged) == (5, (str(files[4].absolute()),))
    assert found.as_dict()["damaged"] == [str(files[4].absolute())]
    (found,) = verify()
    assert (found.intact, found.damaged) == (5, ()), "the damaged one is forgotten"
    describe(files)
    assert [(each.intact, each.damaged) for each in verify()] == [(6, ())]


def test_skips_records_without_checksum_and_damaged_manifests(files: list[Path]) -> None:
    describe_files(files, lambda content: (len(content),), np.dtype([("size", np.int64)]), "1")
    assert verify() == []
    describe(files)
    for folder in (content_store.root() / file_manifest.KIND).glob("[!.]*"):
        (folder / file_manifest.NAME).write_bytes(b"damaged")
    assert verify() == []
