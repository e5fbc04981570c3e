"""A folder is whole or not there, and a file that changed afterwards is found."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

import pytest

from mtkd_cli.errors import DataError
from mtkd_cli.files import whole_folder

FOLDER = Path("kept/one")


@pytest.fixture
def folder() -> Path:
    with whole_folder.create(FOLDER) as part:
        (part / "b").write_bytes(b"2")
        (part / "a").write_bytes(b"1")
    return FOLDER


def test_a_folder_has_its_files_and_their_checksums(folder: Path) -> None:
    assert json.loads((folder / "manifest.json").read_text()) == {
        "a": hashlib.sha256(b"1").hexdigest(),
        "b": hashlib.sha256(b"2").hexdigest(),
    }
    assert [path.name for path in folder.parent.iterdir()] == ["one"]
    whole_folder.check(folder, "a", "b")


def test_a_file_that_changed_or_was_never_written_is_named(folder: Path) -> None:
    with pytest.raises(ValueError, match="c is damaged: its checksum does not match"):
        whole_folder.check(folder, "c")
    (folder / "b").write_bytes(b"3")
    with pytest.raises(ValueError, match="b is damaged: its checksum does not match"):
        whole_folder.check(folder, "a")
    (folder / "b").unlink()
    with pytest.raises(FileNotFoundError):
        whole_folder.check(folder)


@pytest.mark.parametrize("name", ["../other", "/dev/null", ".", "sub/a"])
def test_a_manifest_cannot_make_it_read_files_outside(folder: Path, name: str) -> None:
    manifest = json.loads((folder / "manifest.json").read_text())
    Path("kept/other").write_bytes(b"")
    (folder / "manifest.json").write_text(json.dumps({**manifest, name: hashlib.sha256(b"").hexdigest()}))
    with pytest.raises(ValueError, match="is damaged: its checksum does not match"):
        whole_folder.check(folder)


@pytest.mark.parametrize("text", ["[]", "1", "null", "{", "[" * 100_000, '{"a": ["x"]}'])
def test_a_manifest_that_is_none_is_damage(folder: Path, text: str) -> None:
    (folder / "manifest.json").write_text(text)
    with pytest.raises(ValueError):
        whole_folder.check(folder)


def test_what_a_killed_writer_left_is_replaced() -> None:
    left = whole_folder.partial_of(FOLDER)
    left.mkdir(parents=True)
    (left / "stale").touch()
    with whole_folder.create(FOLDER) as part:
        (part / "a").touch()
    assert sorted(path.name for path in FOLDER.iterdir()) == ["a", "manifest.json"]


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_a_failure_leaves_nothing(error: type[BaseException]) -> None:
    with pytest.raises(error), whole_folder.create(FOLDER) as part:
        (part / "a").touch()
        raise error
    assert list(FOLDER.parent.iterdir()) == []


def test_every_file_is_synced_before_the_folder_has_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    events: list[str] = []
    fsync, rename = os.fsync, Path.rename

    def note_sync(handle: int) -> None:
        events.append(Path(f"/proc/self/fd/{handle}").readlink().name)
        fsync(handle)

    def note_rename(path: Path, target: Path) -> Path:
        events.append("rename")
        return rename(path, target)

    monkeypatch.setattr(os, "fsync", note_sync)
    monkeypatch.setattr(Path, "rename", note_rename)
    with whole_folder.create(FOLDER) as part:
        (part / "a").touch()
        (part / "b").touch()
    before, after = events[: events.index("rename")], events[events.index("rename") + 1 :]
    assert before[:2] == ["a", "b"]
    assert any("manifest.json" in name for name in before)
    assert before[-1] == ".one.partial"
    assert after == ["kept"]


def test_a_folder_in_the_way_is_said_and_left(folder: Path) -> None:
    with pytest.raises(DataError, match="5 bytes are needed"), whole_folder.create(folder, needed=5):
        pass
    whole_folder.check(folder, "a", "b")
    assert [path.name for path in folder.parent.iterdir()] == ["one"]
