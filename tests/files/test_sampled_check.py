"""A large folder is checked by sizes, times and a sample of its blocks; any doubt reads all of it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mtkd_cli.files import checksummed_json, hashing, sampled_check, whole_folder

FOLDER = Path("kept/one")
LARGE = FOLDER / "large"
CONTENT = bytes(range(250)) * 2


@pytest.fixture(autouse=True)
def _small_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sampled_check, "WHOLE_BYTES", 400)
    monkeypatch.setattr(sampled_check, "SMALL_BYTES", 10)
    for module in (hashing, sampled_check):
        monkeypatch.setattr(module, "BLOCK_BYTES", 100)


@pytest.fixture
def _folder() -> None:
    with whole_folder.create(FOLDER, checksums=sampled_check.checksums) as part:
        (part / "large").write_bytes(CONTENT)
        (part / "small").write_bytes(b"few")


def reads_all(monkeypatch: pytest.MonkeyPatch) -> bool:
    """Check the folder, and return whether that read all of it."""
    read = []

    def noted(path: Path) -> tuple[str, list[int]]:
        read.append(path.name)
        return hashing.file_and_block_checksums(path)

    with monkeypatch.context() as patch:
        patch.setattr(sampled_check, "file_and_block_checksums", noted)
        sampled_check.check(FOLDER, "large")
    return "large" in read


def flip(path: Path, position: int) -> None:
    """Flip a bit without a trace: the kept times become those of the changed file."""
    content = bytearray(path.read_bytes())
    content[position] ^= 1
    path.write_bytes(content)
    kept = checksummed_json.read(FOLDER / sampled_check.VERIFIED)
    found = path.stat()
    kept["files"][path.name]["times"] = [found.st_size, found.st_mtime_ns, found.st_ctime_ns]
    checksummed_json.write(FOLDER / sampled_check.VERIFIED, kept)


@pytest.mark.usefixtures("_folder")
def test_written_folder_needs_no_whole_reading(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not reads_all(monkeypatch)
    whole_folder.check(FOLDER, "large", "small")


def test_folder_of_another_writer_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    with whole_folder.create(FOLDER) as part:
        (part / "large").write_bytes(CONTENT)
    assert reads_all(monkeypatch)
    assert not reads_all(monkeypatch)


@pytest.mark.usefixtures("_folder")
def test_touched_file_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    os.utime(LARGE)
    assert reads_all(monkeypatch)
    assert not reads_all(monkeypatch)


@pytest.mark.usefixtures("_folder")
def test_touched_small_file_is_not_a_change(monkeypatch: pytest.MonkeyPatch) -> None:
    os.utime(FOLDER / "small")
    assert not reads_all(monkeypatch)


@pytest.mark.usefixtures("_folder")
@pytest.mark.parametrize("name", ["large", "small"])
def test_finds_change_with_restored_time(name: str) -> None:
    path = FOLDER / name
    before = path.stat()
    path.write_bytes(bytes(before.st_size))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    for _ in range(2):  # a folder once found damaged is not trusted afterwards
        with pytest.raises(ValueError, match=f"{name} is damaged: its checksum does not match"):
            sampled_check.check(FOLDER)


@pytest.mark.usefixtures("_folder")
@pytest.mark.parametrize("content", [b"", CONTENT[:-1], CONTENT + b"x"])
def test_finds_other_size(content: bytes) -> None:
    LARGE.write_bytes(content)
    with pytest.raises(ValueError):
        sampled_check.check(FOLDER)
    LARGE.unlink()
    with pytest.raises(FileNotFoundError):
        sampled_check.check(FOLDER)


@pytest.mark.usefixtures("_folder")
@pytest.mark.parametrize("position", [0, 99, 100, 250, 499])
def test_unnoticed_damage_is_found_by_the_sample(position: int, monkeypatch: pytest.MonkeyPatch) -> None:
    flip(LARGE, position)
    with pytest.raises(ValueError, match="large is damaged"):
        sampled_check.check(FOLDER)
    monkeypatch.setattr(sampled_check, "SAMPLE_BLOCKS", 0)
    sampled_check.check(FOLDER)
    with pytest.raises(ValueError, match="large is damaged"):
        whole_folder.check(FOLDER)
    sampled_check.forget(FOLDER)
    with pytest.raises(ValueError, match="large is damaged"):
        sampled_check.check(FOLDER)


@pytest.mark.usefixtures("_folder")
def test_sample_is_drawn_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sampled_check, "SAMPLE_BLOCKS", 1)
    flip(LARGE, 250)

    def is_found() -> bool:
        try:
            sampled_check.check(FOLDER)
        except ValueError:
            return True
        return False

    assert {is_found() for _ in range(200)} == {True, False}


@pytest.mark.usefixtures("_folder")
def test_damaged_notes_make_it_read_all(monkeypatch: pytest.MonkeyPatch) -> None:
    path = FOLDER / sampled_check.VERIFIED
    good = path.read_bytes()
    for content in (b"", b"[]", b"{}", good[:-5], good.replace(b'"small": true', b'"small": false', 1)):
        path.write_bytes(content)
        assert reads_all(monkeypatch)
        assert not reads_all(monkeypatch)


def test_small_folder_is_always_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sampled_check, "WHOLE_BYTES", 10_000)
    with whole_folder.create(FOLDER, checksums=sampled_check.checksums) as part:
        (part / "large").write_bytes(CONTENT)
    sampled_check.check(FOLDER)
    assert sorted(path.name for path in FOLDER.iterdir()) == ["large", "manifest.json"]
    LARGE.write_bytes(bytes(len(CONTENT)))
    with pytest.raises(ValueError, match="large is damaged"):
        sampled_check.check(FOLDER)
