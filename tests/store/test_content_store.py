"""What is kept: same key, no work; any difference, another folder; damage is found."""

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
    """Writes two files, and counts how often."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, folder: Path) -> None:
        self.calls += 1
        (folder / "numbers.npy").write_bytes(bytes(range(100)))
        (folder / "facts.json").write_text('{"a": 1}')


def leftovers(root: Path) -> list[str]:
    return [path.name for path in root.rglob("*") if path.suffix == ".partial"]


def test_the_same_key_is_written_once() -> None:
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
def test_any_difference_is_another_folder(other: dict[str, Any]) -> None:
    write = Writer()
    first = content_store.keep("outputs", KEY, write)
    assert content_store.find("outputs", other) is None
    assert content_store.keep("outputs", other, write) != first
    assert write.calls == 2


def test_another_kind_or_format_is_another_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    content_store.keep("outputs", KEY, Writer())
    assert content_store.find("fitted", KEY) is None
    monkeypatch.setattr(content_store, "FORMAT", content_store.FORMAT + 1)
    assert content_store.find("outputs", KEY) is None


def test_a_key_that_json_cannot_hold_is_an_error() -> None:
    for value in (float("nan"), object()):
        with pytest.raises((TypeError, ValueError)):
            content_store.digest({"a": value})


@pytest.mark.parametrize("name", ["numbers.npy", "facts.json", "key.json", "manifest.json"])
def test_a_flipped_byte_is_found_and_written_again(name: str) -> None:
    write = Writer()
    folder = content_store.keep("outputs", KEY, write)
    good = (folder / name).read_bytes()
    for place in range(0, len(good), 7):
        (folder / name).write_bytes(good[:place] + bytes([good[place] ^ 1]) + good[place + 1 :])
        assert content_store.find("outputs", KEY) is None
    content_store.keep("outputs", KEY, write)
    assert write.calls == 2
    assert (folder / name).read_bytes() == good


@pytest.mark.parametrize("name", ["numbers.npy", "key.json", "manifest.json"])
def test_a_truncated_or_missing_file_is_found(name: str) -> None:
    folder = content_store.keep("outputs", KEY, Writer())
    good = (folder / name).read_bytes()
    for content in (b"", good[:-1], good[: len(good) // 2]):
        (folder / name).write_bytes(content)
        if content.strip() != good.strip():
            assert content_store.find("outputs", KEY) is None
    (folder / name).unlink()
    assert content_store.find("outputs", KEY) is None


@pytest.mark.parametrize("manifest", ["{}", "[]", "1", "null"])
def test_a_manifest_that_lists_nothing_is_damage(manifest: str) -> None:
    folder = content_store.keep("outputs", KEY, Writer())
    (folder / "manifest.json").write_text(manifest)
    assert content_store.find("outputs", KEY) is None


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_a_failure_while_writing_leaves_nothing(root: Path, error: type[BaseException]) -> None:
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


def test_what_a_killed_process_left_is_overwritten(root: Path) -> None:
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


def test_threads_that_want_one_key_write_it_once() -> None:
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


def test_processes_that_want_one_key_write_it_once(tmp_path: Path) -> None:
    log = tmp_path / "log"
    script = f"""
import pathlib, time
from mtkd_cli.store import content_store as store
def write(folder):
    with open({str(log)!r}, "a") as file:
        file.write("written\\n")
    time.sleep(0.3)
    (folder / "a").write_text("a")
store.keep("outputs", {{"a": 1}}, write)
"""
    processes = [subprocess.Popen([sys.executable, "-c", script]) for _ in range(2)]
    assert [process.wait() for process in processes] == [0, 0]
    assert log.read_text() == "written\n"


def test_an_arrays_hash_is_of_its_values() -> None:
    numbers = np.arange(12).reshape(3, 4)
    assert hashing.array_sha256(numbers[:, ::2]) == hashing.array_sha256(numbers[:, ::2].copy())
    assert hashing.array_sha256(numbers) != hashing.array_sha256(numbers + 1)


def test_the_store_lies_where_the_user_says(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert content_store.root() == tmp_path / "store"
    monkeypatch.delenv("MTKD_STORE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert content_store.root() == tmp_path / "cache" / "mtkd"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert content_store.root() == tmp_path / ".cache" / "mtkd"
