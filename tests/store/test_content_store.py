"""Folders are written once for each content key, and damage is detected."""

import json
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mtkd_cli.files import hashing
from mtkd_cli.store import content_store

KEY = {"teacher": "a", "view": 1}


@pytest.fixture(autouse=True)
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MTKD_STORE", str(tmp_path / "store"))
    return tmp_path / "store"


class Writer:
    """Writes two files and counts the calls."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, folder: Path) -> None:
        self.calls += 1
        (folder / "numbers.npy").write_bytes(bytes(range(100)))
        (folder / "facts.json").write_text('{"a": 1}')


def leftovers(root: Path) -> list[str]:
    return [path.name for path in root.rglob("*") if path.suffix == ".partial"]


def test_writes_each_key_once() -> None:
    write = Writer()
    first = content_store.keep("outputs", KEY, write)
    assert content_store.keep("outputs", dict(reversed(KEY.items())), write) == first
    assert write.calls == 1
    assert (first / "numbers.npy").read_bytes() == bytes(range(100))
    assert json.loads((first / "key.json").read_text()) == KEY
    assert content_store.find("outputs", KEY) == first


@pytest.mark.parametrize(
    "other", [{**KEY, "view": 2}, {**KEY, "teacher": "b"}, {**KEY, "more": None}, {"teacher": "a"}]
)
def test_any_difference_gives_another_folder(other: dict[str, Any]) -> None:
    write = Writer()
    first = content_store.keep("outputs", KEY, write)
    assert content_store.find("outputs", other) is None
    assert content_store.keep("outputs", other, write) != first
    assert write.calls == 2


def test_other_kind_or_format_gives_another_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    content_store.keep("outputs", KEY, Writer())
    assert content_store.find("fitted", KEY) is None
    monkeypatch.setattr(content_store, "FORMAT", content_store.FORMAT + 1)
    assert content_store.find("outputs", KEY) is None


def test_rejects_keys_that_json_cannot_represent() -> None:
    for value in (float("nan"), object()):
        with pytest.raises((TypeError, ValueError)):
            content_store.digest({"a": value})


@pytest.mark.parametrize("name", ["numbers.npy", "facts.json", "key.json", "manifest.json"])
def test_writes_folder_with_flipped_byte_again(name: str) -> None:
    write = Writer()
    folder = content_store.keep("outputs", KEY, write)
    good = (folder / name).read_bytes()
    for position in range(0, len(good), 7):
        (folder / name).write_bytes(good[:position] + bytes([good[position] ^ 1]) + good[position + 1 :])
        assert content_store.find("outputs", KEY) is None
    content_store.keep("outputs", KEY, write)
    assert write.calls == 2
    assert (folder / name).read_bytes() == good


@pytest.mark.parametrize("name", ["numbers.npy", "key.json", "manifest.json"])
def test_detects_truncated_or_missing_file(name: str) -> None:
    folder = content_store.keep("outputs", KEY, Writer())
    good = (folder / name).read_bytes()
    for content in (b"", good[:-1], good[: len(good) // 2]):
        (folder / name).write_bytes(content)
        if content.strip() != good.strip():
            assert content_store.find("outputs", KEY) is None
    (folder / name).unlink()
    assert content_store.find("outputs", KEY) is None


@pytest.mark.parametrize("manifest", ["{}", "[]", "1", "null"])
def test_empty_manifest_counts_as_damage(manifest: str) -> None:
    folder = content_store.keep("outputs", KEY, Writer())
    (folder / "manifest.json").write_text(manifest)
    assert content_store.find("outputs", KEY) is None


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_failed_write_leaves_no_files(root: Path, error: type[BaseException]) -> None:
    def fail(folder: Path) -> None:
        (folder / "numbers.npy").write_bytes(b"half")
        raise error

    with pytest.raises(error):
        content_store.keep("outputs", KEY, fail)
    assert content_store.find("outputs", KEY) is None
    assert leftovers(root) == []
    assert [path for path in root.rglob("*") if path.name == "numbers.npy"] == []
    content_store.keep("outputs", KEY, Writer())
    assert content_store.find("outputs", KEY)


def test_overwrites_leftovers_of_killed_process(root: Path) -> None:
    folder = root / "outputs" / content_store.digest(KEY)
    partial = folder.with_name(f".{folder.name}.partial")
    for left in (partial, folder):
        left.mkdir(parents=True)
        (left / "stale").write_text("half")
    content_store.keep("outputs", KEY, Writer())
    assert sorted(path.name for path in folder.iterdir()) == [
        "facts.json",
        "key.json",
        "manifest.json",
        "numbers.npy",
    ]


def test_concurrent_threads_write_key_once() -> None:
    write, barrier, found = Writer(), threading.Barrier(4), []

    def slowly(folder: Path) -> None:
        time.sleep(0.05)
        write(folder)

    def want() -> None:
        barrier.wait()
        found.append(content_store.keep("outputs", KEY, slowly))

    threads = [threading.Thread(target=want) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert write.calls == 1
    assert len(found) == 4
    assert len(set(found)) == 1


def test_concurrent_processes_write_key_once(tmp_path: Path) -> None:
    log = tmp_path / "log"
    script = f"""
import pathlib, time
from mtkd_cli.store import content_store
def write(folder):
    with open({str(log)!r}, "a") as file:
        file.write("written\\n")
    time.sleep(0.3)
    (folder / "a").write_text("a")
content_store.keep("outputs", {{"a": 1}}, write)
"""
    processes = [subprocess.Popen([sys.executable, "-c", script]) for _ in range(2)]
    assert [process.wait() for process in processes] == [0, 0]
    assert log.read_text() == "written\n"


def test_array_hash_depends_on_values() -> None:
    numbers = np.arange(12).reshape(3, 4)
    assert hashing.array_sha256(numbers[:, ::2]) == hashing.array_sha256(numbers[:, ::2].copy())
    assert hashing.array_sha256(numbers) != hashing.array_sha256(numbers + 1)


def test_environment_variable_sets_store_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert content_store.root() == tmp_path / "store"
    monkeypatch.delenv("MTKD_STORE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert content_store.root() == tmp_path / "cache" / "mtkd"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert content_store.root() == tmp_path / ".cache" / "mtkd"
