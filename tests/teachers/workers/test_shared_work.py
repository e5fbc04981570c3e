"""Any number of independent workers record each shard once, even if some die or are paused."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
import torch

from mtkd_cli.files import lock
from mtkd_cli.store import content_store, inventory, shard_pieces, worker_claims
from mtkd_cli.teachers import prepare
from mtkd_cli.teachers.recording import RecordingJob
from tests.fixtures.no_locks import NoLocks
from tests.fixtures.recording_workers import (
    SHARD,
    Worker,
    age_claims,
    check,
    computed,
    exit_code,
    fork,
    rows_of,
    started,
    wait_until,
)
from tests.fixtures.small_runs import Contexts
from tests.program import several  # noqa: F401  makes torch ready for forks


@pytest.mark.parametrize(("has_locks", "threads"), [(True, 1), (False, 1), (True, 2)])
def test_workers_that_start_at_the_same_instant_record_each_shard_once(
    jobs: list[RecordingJob], start: Worker, monkeypatch: pytest.MonkeyPatch, has_locks: bool, threads: int
) -> None:
    if not has_locks:
        monkeypatch.setattr(lock, "fcntl", NoLocks)
    Path("go").touch()
    workers = [start(threads) for _ in range(4)]
    assert [exit_code(worker) for worker in workers] == [0] * 4
    shards = 2 * -(-len(jobs[0].split) // SHARD)
    assert len(computed()) == shards
    assert set(computed().values()) == {1}
    check(jobs, monkeypatch)


def test_shard_of_a_killed_worker_is_recorded_by_another(
    jobs: list[RecordingJob], start: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed = started(start, 2)
    os.kill(killed, signal.SIGKILL)
    assert exit_code(killed) == -signal.SIGKILL
    others = [start(), start()]
    Path("go").touch()
    wait_until(lambda: len(computed()) == 2 * -(-len(jobs[0].split) // SHARD))
    age_claims()
    assert [exit_code(worker) for worker in others] == [0, 0]
    assert sorted(computed().values())[-2:] == [1, 2]  # only the shard that the killed one was computing
    check(jobs, monkeypatch)


def test_paused_worker_that_was_taken_over_changes_nothing(
    jobs: list[RecordingJob], start: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    paused = started(start, 1)
    os.kill(paused, signal.SIGSTOP)
    age_claims()
    Path("go").touch()
    assert exit_code(start()) == 0
    assert sorted(computed().values())[-2:] == [1, 2]
    before = rows_of(jobs)
    os.kill(paused, signal.SIGCONT)
    assert exit_code(paused) == 0
    assert [rows.tobytes() for rows in before] == [rows.tobytes() for rows in rows_of(jobs)]
    check(jobs, monkeypatch)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signal_releases_claims(
    jobs: list[RecordingJob], start: Worker, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    stopped = started(start, 2)
    os.kill(stopped, number)
    assert exit_code(stopped) == 75
    pieces = [shard_pieces.list_files(job.key) for job in jobs]
    assert sum(len(listed.recorded) for listed in pieces) >= 1
    assert all(listed.claimed == listed.recorded for listed in pieces)
    Path("go").touch()
    assert exit_code(start()) == 0
    assert sum(computed().values()) <= len(computed()) + 1
    check(jobs, monkeypatch)


def test_workers_share_a_recipe(context: Contexts, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fitted teachers are fitted once, also without locks; the arrays are those of one process."""
    monkeypatch.setattr(lock, "fcntl", NoLocks)
    small = ("views=2", "fit.epochs=1")
    run = context(*small)
    plain = [teacher.recorded_outputs("train", 1) for teacher in prepare.prepare_teachers(run, 2)]
    monkeypatch.setenv("MTKD_STORE", "shared")

    def work() -> None:
        with worker_claims.claiming():
            prepare.prepare_teachers(context(*small), 2, as_worker=True)

    fitted = Path("shared/fitted")
    assert [exit_code(worker) for worker in [fork(work), fork(work)]] == [0, 0]
    times = {path: path.stat().st_mtime_ns for path in fitted.glob("*/teacher.safetensors")}
    assert len(times) == 3
    array = next(Path("shared/outputs").glob("[0-9a-f]*"))
    left = array.with_name(f".{array.name}.unfinished")  # of a worker that was killed while it removed it
    left.mkdir()
    (left / "0.claim.0").touch()
    with worker_claims.claiming():
        again = prepare.prepare_teachers(context(*small), 2, as_worker=True)
    assert not left.exists()
    assert {path: path.stat().st_mtime_ns for path in fitted.glob("*/teacher.safetensors")} == times
    for one, other in zip(plain, again, strict=True):
        assert torch.equal(one, other.recorded_outputs("train", 1))


def test_prune_keeps_what_living_workers_claim(jobs: list[RecordingJob], start: Worker) -> None:
    worker = started(start, 2)
    os.kill(worker, signal.SIGSTOP)
    in_use = inventory.prune(None, 0)[1]
    claimed = {path.parent for path in content_store.root().glob("outputs/*/*.claim.*")}
    assert {item.folder for item in in_use} == claimed != set()
    os.kill(worker, signal.SIGKILL)
    exit_code(worker)
    age_claims()
    assert [item.kind for item in inventory.prune(None, 0)[0] if item.kind == "outputs"]
