"""A reader sees the old file or the new one, never a part."""

import json
import math
import os
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from mtkd_cli.files import atomic


def test_writes_content_and_no_temporary_file(tmp_path: Path) -> None:
    path = tmp_path / "new" / "file"
    atomic.write_bytes(path, b"one")
    atomic.write_bytes(path, b"two")
    assert path.read_bytes() == b"two"
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("failing", ["fsync", "replace"])
def test_failure_keeps_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: str) -> None:
    path = tmp_path / "folder" / "file"
    atomic.write_bytes(path, b"old")

    def fail(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(Path if failing == "replace" else os, failing, fail)
    with pytest.raises(OSError, match="disk full"):
        atomic.write_bytes(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(path.parent.iterdir()) == [path]


def test_respects_umask(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        atomic.write_bytes(tmp_path / "file", b"")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == 0o640


def test_json_is_indented_and_unescaped(tmp_path: Path) -> None:
    atomic.write_json(tmp_path / "file", {"klasse": "Käfer"})
    text = (tmp_path / "file").read_text(encoding="utf-8")
    assert "Käfer" in text
    assert json.loads(text) == {"klasse": "Käfer"}


def test_json_refuses_nan(tmp_path: Path) -> None:
    atomic.write_json(tmp_path / "file", {"a": 1})
    with pytest.raises(ValueError):
        atomic.write_json(tmp_path / "file", {"a": math.nan})
    assert json.loads((tmp_path / "file").read_text()) == {"a": 1}


def test_workplaces_of_several_writers_are_kept_apart(tmp_path: Path) -> None:
    place = tmp_path / "place"
    place.mkdir()

    def write(number: int) -> None:
        for _ in range(200):
            with atomic.workplace(place / "file") as folder:
                (folder / "part").write_text(str(number))
                assert (folder / "part").read_text() == str(number)

    with ThreadPoolExecutor(4) as pool:
        for done in [pool.submit(write, number) for number in range(4)]:
            done.result()
    assert not list(place.iterdir())
