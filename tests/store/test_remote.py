"""Recordings are shared through a remote store; one that fails or is damaged never spoils them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from mtkd_cli.errors import UsageError
from mtkd_cli.store import content_store, remote
from mtkd_cli.teachers import prepare, recording
from mtkd_cli.teachers.outputs import ReadyTeacher
from tests.fixtures.command_line import mtkd
from tests.fixtures.small_runs import Contexts

URL = "memory://bucket/store"
CHANGES = (
    "data.labels=60",
    "fit={epochs: 1, labels: student}",
    "teachers=[{name: one, model: 'convnet:4', fit: all}]",
    "views=2",
)


@pytest.fixture(autouse=True)
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[MemoryFileSystem]:
    """An empty remote store in memory."""
    files = fsspec.filesystem("memory")
    files.store.clear()
    remote.connect.cache_clear()
    monkeypatch.setattr(remote, "RETRY_SECONDS", 0)
    monkeypatch.setenv("MTKD_STORE_REMOTE", URL)
    yield files
    files.store.clear()


Record = Callable[[str], tuple[dict[Any, bytes], int, list[str]]]


@pytest.fixture
def record(context: Contexts, monkeypatch: pytest.MonkeyPatch) -> Record:
    """Record in a local store; return the rows of the arrays, the shards computed, and the lines shown."""

    def run(store: str) -> tuple[dict[Any, bytes], int, list[str]]:
        monkeypatch.setenv("MTKD_STORE", store)
        computed, lines = [], []
        compute = recording.compute_shard
        with monkeypatch.context() as patch:
            patch.setattr(recording, "compute_shard", lambda *args: computed.append(1) or compute(*args))
            small = context(*CHANGES)
            small.progress.say = lines.append
            teachers: list[ReadyTeacher] = prepare.prepare_teachers(small, 2)
        rows = {place: array.rows.tobytes() for place, array in teachers[0].arrays.items()}
        return rows, len(computed), [line for line in lines if "remote" in line]

    return run


def test_another_machine_fetches_what_one_has_recorded(record: Record, bucket: MemoryFileSystem) -> None:
    rows, computed, lines = record("first")
    assert computed
    assert not lines
    assert record("second") == (rows, 0, [])
    fitted = [path.read_bytes() for path in sorted(Path().glob("*/fitted/*/teacher.safetensors"))]
    assert len(fitted) == 2
    assert fitted[0] == fitted[1]
    assert {path.split("/")[3] for path in bucket.store} == {"outputs", "fitted"}


def test_nothing_is_copied_again(record: Record, bucket: MemoryFileSystem, monkeypatch: Any) -> None:
    rows, *_ = record("first")
    monkeypatch.setattr(MemoryFileSystem, "put_file", lambda *_: pytest.fail("copied again"))
    monkeypatch.setattr(MemoryFileSystem, "get_file", lambda *_: pytest.fail("fetched again"))
    assert record("first") == (rows, 0, [])


def damage(content: bytes) -> bytes:
    return content[:-1] + bytes([content[-1] ^ 1])


@pytest.mark.parametrize("spoil", [damage, lambda content: content[: len(content) // 2], lambda _: b""])
@pytest.mark.parametrize("name", ["outputs.npy", "shards.jsonl", "key.json", "remote.json"])
def test_damaged_object_is_never_used(
    record: Record, bucket: MemoryFileSystem, name: str, spoil: Callable[[bytes], bytes]
) -> None:
    rows, computed, _ = record("first")
    paths = [path for path in bucket.store if "outputs/" in path and f"/{name}" in path]
    assert len(paths) == 4
    for path in paths:
        bucket.pipe_file(path, spoil(bucket.cat_file(path)))
    again, computed_again, lines = record("second")
    assert again == rows
    assert computed_again == computed
    assert len(lines) >= 4
    assert not list(Path("second").rglob("*.partial"))


def test_missing_object_is_recorded_again(record: Record, bucket: MemoryFileSystem) -> None:
    """A machine was killed while it copied: the list comes last."""
    rows, computed, _ = record("first")
    for path in [path for path in bucket.store if "outputs/" in path and "remote.json" in path]:
        bucket.rm_file(path)
    assert record("second") == (rows, computed, [])
    assert record("third") == (rows, 0, [])  # the second one has completed the copy


class Unreliable:
    """Fails some calls of a method, after it wrote half an object."""

    def __init__(self, patch: pytest.MonkeyPatch, name: str, fails: Callable[[int], bool]) -> None:
        self.calls = 0
        original = getattr(MemoryFileSystem, name)

        def call(files: Any, first: str, second: Any = None, **options: Any) -> Any:
            self.calls += 1
            if fails(self.calls):
                if name == "put_file":
                    files.pipe_file(second, Path(first).read_bytes()[:3])
                if name == "get_file":
                    Path(second).write_bytes(b"half")
                raise OSError("connection reset")
            return original(files, first, second, **options) if second is not None else original(files, first)

        patch.setattr(MemoryFileSystem, name, call)


@pytest.mark.parametrize("method", ["put_file", "pipe_file", "get_file", "cat_file"])
def test_error_that_passes_is_tried_again(record: Record, method: str, monkeypatch: Any) -> None:
    with monkeypatch.context() as patch:
        unreliable = Unreliable(patch, method, lambda call: call % 3 != 0)
        rows, _, lines = record("first")
        assert not lines
        assert record("second") == (rows, 0, [])
        assert unreliable.calls


@pytest.mark.parametrize("method", ["put_file", "get_file", "cat_file"])
def test_error_that_stays_is_said_and_the_run_goes_on(record: Record, method: str, monkeypatch: Any) -> None:
    rows, computed, _ = record("first")
    with monkeypatch.context() as patch:
        Unreliable(patch, method, lambda _: True)
        patch.setenv("MTKD_STORE_REMOTE", "memory://other" if method == "put_file" else URL)
        again, computed_again, lines = record("second")
    assert again == rows
    assert computed_again == computed
    assert lines
    assert all("connection reset" in line for line in lines)


@pytest.mark.parametrize("name", ["../../evil", "/evil", "a/b", ".evil", ""])
def test_names_outside_the_folder_are_refused(
    record: Record, bucket: MemoryFileSystem, name: str, tmp_path: Path
) -> None:
    rows, computed, _ = record("first")
    for path in [path for path in bucket.store if "outputs/" in path and path.endswith("remote.json")]:
        listed = json.loads(bucket.cat_file(path))
        bucket.pipe_file(path, json.dumps({**listed, name: listed["key.json"]}).encode())
    again, computed_again, lines = record("second")
    assert (again, computed_again) == (rows, computed)
    assert all("names" in line for line in lines)


def test_folder_of_another_key_is_refused(record: Record, bucket: MemoryFileSystem) -> None:
    rows, computed, _ = record("first")
    views = sorted({path.rpartition("/")[0] for path in bucket.store if "outputs/" in path})
    contents = [{path: bucket.cat_file(path) for path in bucket.store if path.startswith(v)} for v in views]
    for target, content in zip(views, [*contents[1:], contents[0]], strict=True):
        bucket.rm(target, recursive=True)
        for path, value in content.items():
            bucket.pipe_file(f"{target}/{path.rpartition('/')[2]}", value)
    again, computed_again, lines = record("second")
    assert (again, computed_again) == (rows, computed)
    assert any("another folder" in line for line in lines)


def test_push_copies_what_was_recorded_without_a_remote(record: Record, monkeypatch: Any) -> None:
    monkeypatch.delenv("MTKD_STORE_REMOTE")
    rows, *_ = record("first")
    assert mtkd("store", "push").exit_code == 2
    done = mtkd("store", "push", URL, "--json")
    assert json.loads(done.stdout) == {"remote": URL, "items": 5}
    monkeypatch.setenv("MTKD_STORE_REMOTE", URL)
    assert record("second") == (rows, 0, [])


def test_push_says_what_failed(record: Record, monkeypatch: Any) -> None:
    record("first")
    Unreliable(monkeypatch, "put_file", lambda _: True)
    failed = mtkd("store", "push", "memory://other")
    assert failed.exit_code == 3
    assert "5 of 5 items were not copied" in failed.stderr


def test_address_is_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match="cannot be opened"):
        remote.connect("nothing://x")
    monkeypatch.setenv("MTKD_STORE", "s3://bucket/x")
    with pytest.raises(UsageError, match="MTKD_STORE must be a folder") as caught:
        content_store.root()
    assert "MTKD_STORE_REMOTE" in caught.value.hint
