"""Workers use what was recorded before, and report a store that they cannot write."""

from __future__ import annotations

import collections
import errno
import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest
import torch

from mtkd_cli.data.dataset import Split
from mtkd_cli.errors import DataError
from mtkd_cli.files import claims
from mtkd_cli.store import content_store, recorded_outputs, shard_pieces, worker_claims
from mtkd_cli.teachers import recording, worker_recording
from mtkd_cli.teachers.recording import RecordingJob
from mtkd_cli.training.progress import Progress
from tests.fixtures.recording_workers import (
    LOG,
    Worker,
    age_claims,
    check,
    computed,
    exit_code,
    started,
)
from tests.program import several  # noqa: F401  makes torch ready for forks


def test_plain_recording_uses_the_shards_of_workers(
    jobs: list[RecordingJob], start: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    stopped = started(start, 3)
    os.kill(stopped, signal.SIGTERM)
    assert exit_code(stopped) == 75
    Path("go").touch()
    recording.record_all(jobs, "record", Progress())
    assert sum(computed().values()) <= len(computed()) + 1
    check(jobs, monkeypatch)


def test_workers_use_the_shards_of_a_plain_recording(
    jobs: list[RecordingJob], start: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A shard that was damaged since is recorded again."""
    Path("go").touch()
    array = recording.record(jobs[0], Progress())
    content = bytearray((array.folder / "outputs.npy").read_bytes())
    content[-1] ^= 1
    (array.folder / "outputs.npy").write_bytes(content)
    LOG.write_text("")
    assert exit_code(start()) == 0
    assert collections.Counter(line[0] for line in computed())["0"] == 1
    check(jobs, monkeypatch)


def test_damaged_piece_is_recorded_again(
    jobs: list[RecordingJob], start: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    stopped = started(start, 3)
    os.kill(stopped, signal.SIGTERM)
    exit_code(stopped)
    piece = next(content_store.root().glob("outputs/.*/*.piece"))
    for content in (b"", piece.read_bytes()[:-1]):
        piece.write_bytes(content)
    Path("go").touch()
    age_claims()
    assert exit_code(start()) == 0
    check(jobs, monkeypatch)


def test_complete_recording_needs_no_claims(
    jobs: list[RecordingJob], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker only verifies it, which works in a read-only store."""
    LOG.touch()
    Path("go").touch()
    recording.record_all(jobs, "record", Progress())
    LOG.write_text("")
    before = sorted(content_store.root().rglob("*"))

    def read_only(*_: object) -> None:
        raise OSError(errno.EROFS, "read-only file system")

    monkeypatch.setattr(claims.Claimant, "take", read_only)
    with worker_claims.claiming():
        assert len(worker_recording.finish(jobs, "record", Progress())) == 2
    assert not computed()
    assert sorted(content_store.root().rglob("*")) == before


def test_read_only_store_is_an_error(jobs: list[RecordingJob], monkeypatch: pytest.MonkeyPatch) -> None:
    def read_only(*_: object) -> None:
        raise OSError(errno.EROFS, "read-only file system")

    monkeypatch.setattr(claims.Claimant, "take", read_only)
    with pytest.raises(DataError, match="read-only file system"), worker_claims.claiming():
        worker_recording.finish(jobs, "record", Progress())


def test_error_of_a_teacher_releases_claims(jobs: list[RecordingJob]) -> None:
    def broken(split: Split, rows: Any, number: int) -> torch.Tensor:
        return torch.full((rows.stop - rows.start, 10), torch.nan)

    object.__setattr__(jobs[0], "outputs", broken)
    with pytest.raises(DataError, match="returned NaN"), worker_claims.claiming():
        worker_recording.finish(jobs[:1], "record", Progress())
    assert shard_pieces.list_files(jobs[0].key) == shard_pieces.Listing()


def test_shard_that_another_worker_just_added_is_not_damaged(
    jobs: list[RecordingJob], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is added while this worker looks for shards that are missing; the last one is still missing."""
    Path("go").touch()
    ledger = recording.record(jobs[0], Progress()).folder / "shards.jsonl"
    LOG.write_text("")
    *lines, added, last = filter(None, ledger.read_text().splitlines())
    ledger.write_text("\n".join(lines))
    real = recorded_outputs.missing_shards

    def missing(*arguments: Any) -> list[int]:
        found = real(*arguments)
        monkeypatch.setattr(recorded_outputs, "missing_shards", real)
        ledger.write_text("\n".join([*lines, added]))
        return found

    monkeypatch.setattr(recorded_outputs, "missing_shards", missing)
    with worker_claims.claiming():
        worker_recording.finish(jobs[:1], "record", Progress())
    assert computed() == {f"0 {json.loads(last)['shard']}": 1}
