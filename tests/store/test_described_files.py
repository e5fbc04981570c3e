"""Each file is read once; later, only files that changed and a random sample are read."""

from __future__ import annotations

import hashlib
import logging
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mtkd_cli.errors import DataError
from mtkd_cli.interfaces import DataCache
from mtkd_cli.store import content_store, described_files, file_manifest, inventory
from mtkd_cli.store.data_cache import StoreCache

FIELDS = np.dtype([("sha256", np.uint8, 32), ("size", np.int32)])


class Describe:
    """Describes files, and remembers the contents that it was given."""

    def __init__(self) -> None:
        self.read: list[bytes] = []

    def __call__(self, content: bytes) -> tuple[bytes, int]:
        self.read.append(content)
        return hashlib.sha256(content).digest(), len(content)


@pytest.fixture(autouse=True)
def _no_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(described_files, "SAMPLE_FILES", 0)


@pytest.fixture
def files() -> list[Path]:
    paths = [Path(f"data/{name}/{number}") for name in ("cat", "dog") for number in range(5)]
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(str(path).encode())
    return paths


def described(files: list[Path], **more: Any) -> list[bytes]:
    """Return the contents that are read to describe files, and check the records."""
    describe = Describe()
    records = described_files.describe_files(files, describe, FIELDS, "1", **more)
    assert records.dtype == FIELDS
    expected = [path.read_bytes() for path in files]
    assert records["sha256"].tobytes() == b"".join(hashlib.sha256(content).digest() for content in expected)
    assert records["size"].tolist() == [len(content) for content in expected]
    return sorted(describe.read)


def test_reads_each_file_once(files: list[Path]) -> None:
    assert described(files) == sorted(str(path).encode() for path in files)
    assert described(files) == []
    assert described(files[::-1]) == []
    assert described(files[2:9]) == []
    assert described([path.absolute() for path in files]) == []
    assert described([files[0], files[0], files[9]]) == []


def test_no_files_have_no_records() -> None:
    assert described([]) == []
    assert not content_store.root().exists()


def test_cache_of_data_sources_describes_files(files: list[Path]) -> None:
    cache: DataCache = StoreCache()
    for _ in range(2):
        records = cache.describe_files(files, Describe(), FIELDS, "1")
        assert records["size"].tolist() == [10] * 10
    assert described(files) == []


def test_another_version_or_type_describes_anew(files: list[Path]) -> None:
    described(files)
    for dtype, version in ((FIELDS, "2"), (np.dtype([("sha256", np.uint8, 32), ("size", np.int64)]), "1")):
        describe = Describe()
        described_files.describe_files(files, describe, dtype, version)
        assert len(describe.read) == 10


def test_reads_touched_file_only(files: list[Path]) -> None:
    described(files)
    os.utime(files[3])
    assert described(files) == [str(files[3]).encode()]
    assert described(files) == []


def test_finds_edit_with_same_size_and_restored_mtime(files: list[Path]) -> None:
    described(files)
    before = files[3].stat()
    files[3].write_bytes(bytes(before.st_size))
    os.utime(files[3], ns=(before.st_atime_ns, before.st_mtime_ns))
    assert files[3].stat().st_mtime_ns == before.st_mtime_ns
    assert described(files) == [bytes(before.st_size)]
    assert described(files) == []


def test_finds_edit_right_after_reading(files: list[Path]) -> None:
    for number in range(10):
        files[0].write_bytes(b"a%d" % number)
        described(files)
        files[0].write_bytes(b"b%d" % number)
        assert described(files) == [b"b%d" % number]


def test_reads_added_and_renamed_files_only(files: list[Path]) -> None:
    described(files)
    added = Path("data/dog/new")
    added.write_bytes(b"new")
    assert described([added, *files]) == [b"new"]
    renamed = Path("data/cat/other")
    files[0].rename(renamed)
    assert described([renamed, *files[1:]]) == [b"data/cat/0"]
    files[5].rename("data/dog/6")
    files[4].rename(files[5])  # an old file under a known name
    assert described([*files[1:4], files[5], Path("data/dog/6")]) == [b"data/cat/4", b"data/dog/0"]


def test_listings_of_one_folder_share_a_manifest(files: list[Path]) -> None:
    half = [files[0], files[5]]
    assert len(described(half)) == 2
    assert len(described(files)) == 8
    assert described(half) == described(files) == []
    files[9].unlink()
    os.utime(files[0])
    described(half)
    (item,) = inventory.list_items()
    assert (item.kind, item.is_complete) == ("files", True)
    manifest = file_manifest.load(item.folder)
    assert manifest is not None
    assert len(manifest) == 9


def test_rereads_a_random_sample(files: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    described(files)
    monkeypatch.setattr(described_files, "SAMPLE_FILES", 3)
    drawn = [described(files) for _ in range(20)]
    assert all(len(set(sample)) == 3 for sample in drawn)
    assert len({tuple(sample) for sample in drawn}) > 1
    monkeypatch.setattr(described_files, "SAMPLE_BYTES", 1)
    lines: list[str] = []
    assert len(described(files, say=lines.append)) == 1
    assert lines == ["10 files in data/: 0 new or changed, 1 others read again to check them"]


def damage(files: list[Path], row: int) -> None:
    """Change the record of a file, as if its bytes changed and its size and times did not."""
    root = f"{Path('data').absolute()}/"
    key = file_manifest.key_of(root, "1", FIELDS)
    manifest = file_manifest.load(content_store.folder_of(file_manifest.KIND, key))
    assert manifest is not None
    manifest.records["sha256"][row, 0] ^= 1
    file_manifest.save(key, manifest)


def test_unnoticed_edit_in_sample_is_reported(
    files: list[Path], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    described(files)
    damage(files, 2)
    monkeypatch.setattr(described_files, "SAMPLE_FILES", 10)
    assert len(described(files)) == 10
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert "1 of 10 files" in record.getMessage()
    assert "data/cat/2" in record.getMessage()
    caplog.clear()
    assert len(described(files)) == 10
    assert not caplog.records


def test_unnoticed_edit_makes_all_files_read_again(
    files: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    described(files)
    damage(files, 2)
    damage(files, 7)
    monkeypatch.setattr(described_files, "_draw_sample", lambda *_: np.array([7, 1]))
    assert len(described(files)) == 10


def test_verify_all_reads_everything(files: list[Path], caplog: pytest.LogCaptureFixture) -> None:
    assert len(described(files, verify_all=True)) == 10
    assert len(described(files, verify_all=True)) == 10
    assert not caplog.records
    damage(files, 2)
    assert len(described(files, verify_all=True)) == 10
    assert "data/cat/2" in caplog.text
    assert described(files) == []


def test_damaged_manifest_is_written_again(files: list[Path]) -> None:
    described(files)
    (item,) = inventory.list_items()
    path = item.folder / file_manifest.NAME
    content = bytearray(path.read_bytes())
    content[200] ^= 1
    path.write_bytes(content)
    assert [damaged.folder for damaged in inventory.damaged_items()] == [item.folder]
    assert len(described(files)) == 10
    assert described(files) == []
    assert inventory.damaged_items() == []


def test_names_unreadable_file_and_keeps_the_others(
    files: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    files[9].unlink()
    with pytest.raises(DataError) as missing:
        described(files)
    assert missing.value.where == str(files[9])
    files[9].mkdir()
    with pytest.raises(DataError) as folder:
        described(files)
    assert folder.value.where == str(files[9])
    files[9].rmdir()
    files[9].write_bytes(b"good")
    assert described(files) == [b"good"]


def test_interrupted_reading_is_resumed(files: list[Path]) -> None:
    def stop(content: bytes) -> tuple[bytes, int]:
        if content == b"data/dog/4":
            raise KeyboardInterrupt
        return Describe()(content)

    with pytest.raises(KeyboardInterrupt):
        described_files.describe_files(files, stop, FIELDS, "1")
    assert described(files) == [b"data/dog/4"]


def test_store_that_cannot_be_written_is_a_warning(
    files: list[Path], caplog: pytest.LogCaptureFixture
) -> None:
    content_store.root().write_text("a file where the store should be")
    assert len(described(files)) == len(described(files)) == 10
    assert "read again at the next start" in caplog.text


SCRIPT = """
import hashlib, pathlib, sys
import numpy as np
from mtkd_cli.store.described_files import describe_files
def describe(content):
    with open("log", "a") as log:
        log.write("read\\n")
    return hashlib.sha256(content).digest(), len(content)
fields = np.dtype([("sha256", np.uint8, 32), ("size", np.int32)])
found = describe_files(sorted(pathlib.Path("data").glob("*/*")), describe, fields, "1")
print(hashlib.sha256(found.tobytes()).hexdigest())
"""


def test_concurrent_processes_read_each_file_once(files: list[Path]) -> None:
    command = [sys.executable, "-c", SCRIPT]
    several = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    outputs = {process.communicate()[0] for process in several}
    assert [process.returncode for process in several] == [0, 0, 0]
    assert len(outputs) == 1
    reads = len(Path("log").read_text().splitlines())
    assert 10 <= reads <= 30, "ten for the first process; the others may draw a sample"
    assert described(files) == []


def test_records_may_have_padding(files: list[Path], caplog: pytest.LogCaptureFixture) -> None:
    padded = np.dtype([("first", np.uint8), ("value", np.float64)], align=True)
    for _ in range(3):
        found = described_files.describe_files(
            files, lambda content: (content[0], float("nan")), padded, "1", verify_all=True
        )
        assert found["first"].tolist() == [ord("d")] * 10
    assert not caplog.records
