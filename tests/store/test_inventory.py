"""List, verify and prune the store; folders that a running process uses are kept."""

from __future__ import annotations

import builtins
import io
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from mtkd_cli.files import whole_folder
from mtkd_cli.store import content_store, inventory, recorded_outputs
from mtkd_cli.teachers import prepare, recording, verify
from mtkd_cli.teachers.resolved_teacher import resolve_teachers
from mtkd_cli.training.context import Context
from tests.fixtures.small_runs import Contexts


def test_lists_verifies_and_prunes_store(context: Contexts) -> None:
    run = context()
    ready = prepare.prepare_teachers(run, 1)
    kinds = {item.kind for item in inventory.list_items()}
    assert kinds == {"outputs", "fitted", "teachers"}
    assert any("mlp:32, train view 0" in item.what for item in inventory.list_items())
    rows = list(verify.differences(run))
    assert len(rows) == 9
    assert all(row["same"] for row in rows)

    removed, in_use = inventory.prune(older_than_days=None, larger_than_bytes=0)
    assert {item.kind for item in removed} == {"fitted", "teachers"}
    assert {item.folder for item in in_use} == {array.folder for t in ready for array in t.arrays.values()}
    del ready
    removed, in_use = inventory.prune(older_than_days=None, larger_than_bytes=0)
    assert removed and not in_use
    assert not inventory.list_items()


def test_verify_finds_array_unlike_teacher(context: Contexts) -> None:
    run = context()
    array = prepare.prepare_teachers(run, 1)[0].arrays["train", 0]
    writable = recorded_outputs.create(_key_of(run), array.layout, len(run.data.train))
    for shard in range(array.layout.shard_count(len(run.data.train))):
        shard_rows = array.layout.rows_of(shard, len(run.data.train))
        rows = np.array(writable.rows[shard_rows])
        rows["distance"][:, 0] -= 1
        recorded_outputs.write_shard(writable, shard, rows, len(run.data.train))
    wrong = [row for row in verify.differences(run) if not row["same"]]
    assert [(row["split"], row["view"]) for row in wrong] == [("train", 0)]


def _key_of(run: Context) -> dict[str, Any]:
    return recording.key(resolve_teachers(run)[0].key, run.data.train, 0, run.recipe, run.task)


READER = """
import pathlib, sys
from mtkd_cli.store import mapped_arrays
array = mapped_arrays.map_array(pathlib.Path(sys.argv[1]))
print("held", flush=True)
sys.stdin.read()
"""
WRITER = """
import pathlib, sys
from mtkd_cli.store import content_store
with content_store.lock_folder(pathlib.Path(sys.argv[1]).parent):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.mark.parametrize("code", [READER, WRITER])
def test_prune_keeps_folders_in_use(code: str) -> None:
    def write(folder: Path) -> None:
        np.save(folder / "images.npy", np.arange(5))

    folder = content_store.keep("images", {"a": 1}, write)
    command = [sys.executable, "-c", code, str(folder / "images.npy")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout and other.stdout.readline() == b"held\n"
        assert [item.folder for item in inventory.prune(0, 0)[1]] == [folder]
        other.kill()
        other.wait()
    removed, in_use = inventory.prune(0, 0)
    assert [item.folder for item in removed] == [folder]
    assert not in_use


def test_prune_removes_locks_of_removed_items_only() -> None:
    def write(folder: Path) -> None:
        np.save(folder / "images.npy", np.arange(5))

    one, other = (content_store.keep("images", {"a": number}, write) for number in range(2))
    left = content_store.lock_path(content_store.root() / "cells" / "removed-earlier")
    foreign = content_store.lock_path(content_store.root() / "elsewhere" / "of-another-program")
    for path in (left, foreign):
        path.parent.mkdir()
        path.touch()
    os.utime(one / "key.json", (0, 0))
    os.utime(one / "images.npy", (0, 0))
    os.utime(one / whole_folder.MANIFEST, (0, 0))
    with content_store.lock_folder(content_store.root() / "images" / "being-made"):
        assert [item.folder for item in inventory.prune(30, None)[0]] == [one]
        found = {path.name for path in content_store.root().glob("*/.*.lock")}
    assert found == {content_store.lock_path(other).name, ".being-made.lock", foreign.name}
    assert content_store.keep("images", {"a": 0}, write) == one


def test_reader_keeps_pruned_or_recreated_array(context: Contexts) -> None:
    run = context()
    array = prepare.prepare_teachers(run, 1)[0].arrays["train", 0]
    before = array[:].clone()
    (array.folder / "key.json").write_text("{}")
    again = prepare.prepare_teachers(run, 1)[0].arrays["train", 0]
    shutil.rmtree(array.folder)
    assert torch.equal(array[:], before)
    assert torch.equal(again[:], before)


def test_age_counts_from_last_use_without_listing(context: Contexts) -> None:
    run = context()
    prepare.prepare_teachers(run, 1)
    old = time.time() - 90 * 86400
    for file in Path(os.environ["MTKD_STORE"]).rglob("*"):
        os.utime(file, (old, old))
    inventory.list_items()
    assert all(item.last_used < old + 1 for item in inventory.list_items())
    prepare.prepare_teachers(run, 1)
    removed, _ = inventory.prune(older_than_days=30, larger_than_bytes=None)
    assert {item.kind for item in removed} == {"fitted"}


def test_lists_and_prunes_leftovers() -> None:
    left = whole_folder.partial_of(content_store.root() / "images" / content_store.digest({"a": 1}))
    left.mkdir(parents=True)
    (left / "images.npy").write_bytes(bytes(1000))
    assert [(item.bytes, item.is_complete) for item in inventory.list_items()] == [(1000, False)]
    assert not inventory.damaged_items()
    inventory.prune(0, None)
    assert not left.exists()


def test_listing_reads_few_small_files(monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(200):
        folder = recorded_outputs.folder_of({"n": number})
        folder.mkdir(parents=True)
        (folder / "key.json").write_text(json.dumps({"samples": 1, "view": number}))
        (folder / "shards.jsonl").write_text(json.dumps({"shard": 0, "sha256": ""}))
        (folder / "outputs.npy").write_bytes(bytes(10))
    opened: list[str] = []
    there = io.open

    def counted(file: Any, *more: Any, **named: Any) -> Any:
        opened.append(Path(file).name)
        return there(file, *more, **named)

    monkeypatch.setattr(io, "open", counted)
    monkeypatch.setattr(builtins, "open", counted)
    assert len(inventory.list_items()) == 200
    assert opened.count("key.json") == 200
    assert "outputs.npy" not in opened
    assert len(opened) <= 3 * 200
