"""Checkpoints: whole or not there, the last two kept, nothing damaged ever used."""

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

PLACE = Path("kept")
FACTS = {"sums": [0.1, 1 / 3], "curve": [{"step": 3}]}


def tensors(step: int) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(step)
    return {
        "model/weight": torch.randn(20, 30, generator=generator),
        "optimizer/0/step": torch.tensor(1.0 * step),
    }


def write(*steps: int) -> None:
    for step in steps:
        checkpoint.write(PLACE, step, tensors(step), FACTS)


def assert_is(found: checkpoint.Newest, step: int) -> None:
    assert found.checkpoint is not None
    assert found.checkpoint.step == step
    assert found.checkpoint.facts == FACTS
    assert all(torch.equal(found.checkpoint.tensors[name], tensor) for name, tensor in tensors(step).items())


def flip(file: Path, chance: random.Random) -> None:
    content = bytearray(file.read_bytes())
    content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
    file.write_bytes(content)


def test_the_newest_is_read_and_two_are_kept() -> None:
    assert checkpoint.newest(PLACE) == checkpoint.Newest(None, {})
    write(5, 10, 20)
    assert_is(checkpoint.newest(PLACE), 20)
    assert sorted(path.name for path in PLACE.iterdir()) == ["step-000000010", "step-000000020"]
    checkpoint.keep_last(PLACE, 1)
    assert_is(checkpoint.newest(PLACE), 20)


def test_no_pickle_is_in_a_checkpoint() -> None:
    write(1)
    assert {path.name for path in PLACE.glob("*/*")} == {"tensors.safetensors", "facts.json", "manifest.json"}


def test_a_damaged_one_is_named_and_the_one_before_it_is_used() -> None:
    write(1, 2)
    flip(PLACE / "step-000000002" / "facts.json", random.Random(0))
    found = checkpoint.newest(PLACE)
    assert_is(found, 1)
    assert {path.name: reason for path, reason in found.damaged.items()} == {
        "step-000000002": "facts.json is not what was written"
    }


def test_if_all_are_damaged_it_is_an_error_and_nothing_is_removed() -> None:
    write(1, 2)
    for file in PLACE.glob("*/tensors.safetensors"):
        file.write_bytes(file.read_bytes()[:-1])
    before = sorted(PLACE.rglob("*"))
    with pytest.raises(DataError, match=r"every checkpoint is damaged.*tensors\.safetensors") as caught:
        checkpoint.newest(PLACE)
    assert caught.value.exit_code == 3
    assert sorted(PLACE.rglob("*")) == before


def test_of_200_flipped_bits_none_is_used() -> None:
    write(1, 2)
    newest, chance = PLACE / "step-000000002", random.Random(7)
    files = sorted(newest.iterdir())
    shutil.copytree(newest, "whole")
    for number in range(200):
        file = files[number % len(files)]
        flip(file, chance)
        found = checkpoint.newest(PLACE)
        # A manifest may mean the same after a flip: a space that is another white space.
        assert_is(found, 1 if found.damaged or file.name != "manifest.json" else 2)
        shutil.copy(Path("whole") / file.name, file)
    assert_is(checkpoint.newest(PLACE), 2)


@pytest.mark.parametrize("name", ["tensors.safetensors", "facts.json", "manifest.json", ""])
def test_a_link_in_a_checkpoint_is_refused(name: str) -> None:
    write(1, 2)
    target = PLACE / "step-000000002" / name
    target.rename("elsewhere")
    target.symlink_to(Path("elsewhere").absolute())
    assert_is(checkpoint.newest(PLACE), 1)


def test_facts_nested_too_deeply_are_damage() -> None:
    write(1, 2)
    nested = b"[" * 100_000
    (PLACE / "step-000000002" / "facts.json").write_bytes(nested)
    manifest = PLACE / "step-000000002" / "manifest.json"
    known = json.loads(manifest.read_bytes())
    manifest.write_text(json.dumps({**known, "facts.json": hashlib.sha256(nested).hexdigest()}))
    assert_is(checkpoint.newest(PLACE), 1)


@pytest.mark.parametrize("size", [0, 100, 1500, 2400])
def test_a_full_disk_leaves_the_ones_before_and_says_what_it_needs(size: int) -> None:
    write(1)
    before = sorted(PLACE.rglob("*"))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        with pytest.raises(DataError, match=r"2,404 bytes are needed, [0-9,]+ bytes are free") as caught:
            write(2)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert caught.value.exit_code == 3
    assert sorted(PLACE.rglob("*")) == before
    assert_is(checkpoint.newest(PLACE), 1)
    write(2)
    assert_is(checkpoint.newest(PLACE), 2)


def test_a_file_in_the_way_is_said() -> None:
    PLACE.write_text("mine")
    with pytest.raises(DataError, match="bytes are needed"):
        write(1)
    assert PLACE.read_text() == "mine"


@pytest.mark.parametrize("at", range(12))
def test_a_process_that_ends_at_any_sync_or_rename_leaves_a_whole_one(
    at: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever was not done when it ended is not done; the next one needs no cleaning up."""
    write(1, 2)
    calls = iter(range(100))

    class EndedError(BaseException):
        pass

    def ending(function):  # type: ignore[no-untyped-def]
        def wrapped(*arguments, **named):  # type: ignore[no-untyped-def]
            if next(calls) >= at:  # nothing works any more, cleaning up neither
                raise EndedError
            return function(*arguments, **named)

        return wrapped

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", ending(os.fsync))
        patch.setattr(Path, "rename", ending(Path.rename))
        patch.setattr(shutil, "rmtree", ending(shutil.rmtree))
        with contextlib.suppress(EndedError):
            write(3)
    found = checkpoint.newest(PLACE)
    assert not found.damaged
    assert found.checkpoint is not None
    assert_is(found, found.checkpoint.step)
    assert found.checkpoint.step in (2, 3)
    write(4)
    assert_is(checkpoint.newest(PLACE), 4)
    assert not list(PLACE.glob(".*"))
