"""Checkpoints are written atomically, the last two are kept, and damaged ones are never loaded."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import random
import resource
import shutil
from pathlib import Path

import pytest
import torch

from mtkd_cli.errors import DataError
from mtkd_cli.training import checkpoint

FOLDER = Path("kept")
METADATA = {"sums": [0.1, 1 / 3], "curve": [{"step": 3}]}


def tensors(step: int) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(step)
    return {
        "model/weight": torch.randn(20, 30, generator=generator),
        "optimizer/0/step": torch.tensor(1.0 * step),
    }


def write(*steps: int) -> None:
    for step in steps:
        checkpoint.write(FOLDER, step, tensors(step), METADATA)


def assert_loaded(found: checkpoint.NewestCheckpoint, step: int) -> None:
    assert found.checkpoint is not None
    assert found.checkpoint.step == step
    assert found.checkpoint.metadata == METADATA
    assert all(torch.equal(found.checkpoint.tensors[name], tensor) for name, tensor in tensors(step).items())


def flip_bit(file: Path, rng: random.Random) -> None:
    content = bytearray(file.read_bytes())
    content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
    file.write_bytes(content)


def test_loads_newest_and_keeps_two() -> None:
    assert checkpoint.load_newest(FOLDER) == checkpoint.NewestCheckpoint(None, {})
    write(5, 10, 20)
    assert_loaded(checkpoint.load_newest(FOLDER), 20)
    assert sorted(path.name for path in FOLDER.iterdir()) == ["step-000000010", "step-000000020"]
    checkpoint.keep_last(FOLDER, 1)
    assert_loaded(checkpoint.load_newest(FOLDER), 20)


def test_contains_no_pickle() -> None:
    write(1)
    assert {path.name for path in FOLDER.glob("*/*")} == {
        "tensors.safetensors",
        "facts.json",
        "manifest.json",
    }


def test_falls_back_to_older_checkpoint_if_damaged() -> None:
    write(1, 2)
    flip_bit(FOLDER / "step-000000002" / "facts.json", random.Random(0))
    found = checkpoint.load_newest(FOLDER)
    assert_loaded(found, 1)
    assert {path.name: reason for path, reason in found.damaged.items()} == {
        "step-000000002": "facts.json is damaged: its checksum does not match"
    }


def test_raises_if_all_are_damaged() -> None:
    write(1, 2)
    for file in FOLDER.glob("*/tensors.safetensors"):
        file.write_bytes(file.read_bytes()[:-1])
    before = sorted(FOLDER.rglob("*"))
    with pytest.raises(DataError, match=r"every checkpoint is damaged.*tensors\.safetensors") as caught:
        checkpoint.load_newest(FOLDER)
    assert caught.value.exit_code == 3
    assert sorted(FOLDER.rglob("*")) == before


def test_detects_flipped_bits() -> None:
    write(1, 2)
    newest, rng = FOLDER / "step-000000002", random.Random(7)
    files = sorted(newest.iterdir())
    shutil.copytree(newest, "whole")
    for number in range(200):
        file = files[number % len(files)]
        flip_bit(file, rng)
        found = checkpoint.load_newest(FOLDER)
        # a flip may leave the manifest's meaning unchanged: one white space becomes another
        assert_loaded(found, 1 if found.damaged or file.name != "manifest.json" else 2)
        shutil.copy(Path("whole") / file.name, file)
    assert_loaded(checkpoint.load_newest(FOLDER), 2)


@pytest.mark.parametrize("name", ["tensors.safetensors", "facts.json", "manifest.json", ""])
def test_rejects_symbolic_links(name: str) -> None:
    write(1, 2)
    target = FOLDER / "step-000000002" / name
    target.rename("elsewhere")
    target.symlink_to(Path("elsewhere").absolute())
    assert_loaded(checkpoint.load_newest(FOLDER), 1)


def test_rejects_deeply_nested_metadata() -> None:
    write(1, 2)
    nested = b"[" * 100_000
    (FOLDER / "step-000000002" / "facts.json").write_bytes(nested)
    manifest = FOLDER / "step-000000002" / "manifest.json"
    checksums = json.loads(manifest.read_bytes())
    manifest.write_text(json.dumps({**checksums, "facts.json": hashlib.sha256(nested).hexdigest()}))
    assert_loaded(checkpoint.load_newest(FOLDER), 1)


@pytest.mark.parametrize("size", [0, 100, 1500, 2400])
def test_full_disk_keeps_older_checkpoints(size: int) -> None:
    write(1)
    before = sorted(FOLDER.rglob("*"))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        with pytest.raises(DataError, match=r"2,404 bytes are needed, [0-9,]+ bytes are free") as caught:
            write(2)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert caught.value.exit_code == 3
    assert sorted(FOLDER.rglob("*")) == before
    assert_loaded(checkpoint.load_newest(FOLDER), 1)
    write(2)
    assert_loaded(checkpoint.load_newest(FOLDER), 2)


def test_raises_if_folder_is_a_file() -> None:
    FOLDER.write_text("mine")
    with pytest.raises(DataError, match="bytes are needed"):
        write(1)
    assert FOLDER.read_text() == "mine"


@pytest.mark.parametrize("at", range(12))
def test_kill_at_any_sync_or_rename_keeps_a_checkpoint(at: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The process stops at each system call in turn; the next write works without manual cleanup."""
    write(1, 2)
    calls = iter(range(100))

    class KilledError(BaseException):
        pass

    def killed(function):  # type: ignore[no-untyped-def]
        def wrapped(*arguments, **named):  # type: ignore[no-untyped-def]
            if next(calls) >= at:  # a killed process cannot clean up either
                raise KilledError
            return function(*arguments, **named)

        return wrapped

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", killed(os.fsync))
        patch.setattr(Path, "rename", killed(Path.rename))
        patch.setattr(shutil, "rmtree", killed(shutil.rmtree))
        with contextlib.suppress(KilledError):
            write(3)
    found = checkpoint.load_newest(FOLDER)
    assert not found.damaged
    assert found.checkpoint is not None
    assert_loaded(found, found.checkpoint.step)
    assert found.checkpoint.step in (2, 3)
    write(4)
    assert_loaded(checkpoint.load_newest(FOLDER), 4)
    assert not list(FOLDER.glob(".*"))
