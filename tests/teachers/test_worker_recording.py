"""Any number of independent workers record each shard once, even if some die or are paused."""

from __future__ import annotations

import collections
import errno
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from mtkd_cli.data.dataset import Split
from mtkd_cli.distributed import signals
from mtkd_cli.errors import DataError
from mtkd_cli.files import claims, lock
from mtkd_cli.store import content_store, inventory, recorded_outputs, shard_pieces, worker_claims
from mtkd_cli.store import row_format as layout_module
from mtkd_cli.store.row_format import Layout
from mtkd_cli.teachers import prepare, recording, worker_recording
from mtkd_cli.teachers.recording import RecordingJob
from mtkd_cli.training.progress import Progress
from tests.fixtures.no_locks import NoLocks
from tests.fixtures.small_runs import Contexts
from tests.program import several  # noqa: F401  makes torch ready for forks

LOG = Path("computed")
SHARD = 64

Worker = Callable[..., int]


@pytest.fixture(autouse=True)
def small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layout_module, "MAX_SHARD_SAMPLES", SHARD)


@pytest.fixture
def jobs(context: Contexts) -> list[RecordingJob]:
    """Two views; a teacher that computes from the sample's pixels, and logs the shards it computes."""
    run = context()

    def compute(split: Split, rows: Any, number: int) -> torch.Tensor:
        with LOG.open("a") as log:
            log.write(f"{number} {rows.start // SHARD} {os.getpid()}\n")
        for _ in range(100):  # some time, unless the test goes on
            if Path("go").exists():
                break
            time.sleep(0.0025)
        pixels = torch.from_numpy(split.samples.read(rows)).float().flatten(1)
        return pixels[:, 10:20] * (number + 1)

    return [
        RecordingJob(
            "teacher",
            compute,
            Layout((10,), "fp16", None, "classes"),
            run.data.train,
            view,
            {"view": view},
            SHARD,
            run.device,
        )
        for view in range(2)
    ]


def computed() -> collections.Counter[str]:
    """Return how often each shard of each view was computed."""
    return collections.Counter(line.rsplit(" ", 1)[0] for line in LOG.read_text().splitlines())


def wait_until(happened: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not happened() and time.monotonic() < deadline:
        time.sleep(0.005)
    assert happened()


@pytest.fixture
def start(jobs: list[RecordingJob]) -> Worker:
    """Fork a worker that records the jobs; return its number."""

    def fork(threads: int = 1) -> int:
        number = os.fork()
        if number:
            return number
        code = 1
        try:
            torch.set_num_threads(threads)
            with signals.handle(), worker_claims.claiming():
                worker_recording.contribute(jobs, "record", Progress())
                worker_recording.finish(jobs, "record", Progress())
            code = 0
        except signals.Interrupted:
            code = 75
        except BaseException:
            traceback.print_exc(file=sys.__stderr__)
        os._exit(code)

    return fork


def exit_code(number: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(number, 0)[1])


def rows_of(jobs: list[RecordingJob]) -> list[np.ndarray]:
    found = [recorded_outputs.find(job.key, len(job.split)) for job in jobs]
    return [array.rows.copy() for array in found if array is not None]


def alone(jobs: list[RecordingJob], monkeypatch: pytest.MonkeyPatch) -> list[np.ndarray]:
    """Return what one process records that is not a worker."""
    with monkeypatch.context() as patch:
        patch.setenv("MTKD_STORE", "alone")
        before = LOG.read_text()
        rows = [array.rows.copy() for array in recording.record_all(jobs, "record", Progress())]
        LOG.write_text(before)
        return rows


def check(jobs: list[RecordingJob], monkeypatch: pytest.MonkeyPatch) -> None:
    """Check that arrays are those of one process, and that nothing is left of the workers."""
    expected, found = alone(jobs, monkeypatch), rows_of(jobs)
    assert len(found) == len(expected) == 2
    for one, other in zip(found, expected, strict=True):
        assert one.tobytes() == other.tobytes()
    assert not inventory.damaged_items()
    outputs = content_store.root() / "outputs"
    assert sorted(path.name for path in outputs.iterdir() if not path.name.endswith(".lock")) == sorted(
        recorded_outputs.folder_of(job.key).name for job in jobs
    )


def age_claims() -> None:
    """Make all claims so old that their owners count as lost."""
    for file in content_store.root().glob("outputs/**/*.claim.*"):
        changed = file.stat().st_mtime - 1000
        os.utime(file, (changed, changed))


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
    LOG.touch()
    killed = start()
    wait_until(lambda: len(computed()) == 2)
    os.kill(killed, signal.SIGKILL)
    assert exit_code(killed) == -signal.SIGKILL
    others = [start(), start()]
    Path("go").touch()
    wait_until(lambda: len(computed()) == 2 * -(-len(jobs[0].split) // SHARD))
    age_claims()
    assert [exit_code(worker) for worker in others] == [0, 0]
    assert sorted(computed().values())[-2:] == [1, 2]  # only the shard that the killed one was computing
    check(jobs, monkeypatch)


def test_paused_worker_that_was_taken_over_harms_nobody(
    jobs: list[RecordingJob], start: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    LOG.touch()
    paused = start()
    wait_until(lambda: len(computed()) == 1)
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
    LOG.touch()
    stopped = start()
    wait_until(lambda: len(computed()) == 2)
    os.kill(stopped, number)
    assert exit_code(stopped) == 75
    pieces = [shard_pieces.list_files(job.key) for job in jobs]
    assert sum(len(listed.recorded) for listed in pieces) >= 1
    assert all(listed.claimed == listed.recorded for listed in pieces)
    Path("go").touch()
    assert exit_code(start()) == 0
    assert sum(computed().values()) <= len(computed()) + 1
    check(jobs, monkeypatch)


def test_plain_recording_uses_the_shards_of_workers(
    jobs: list[RecordingJob], start: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    LOG.touch()
    stopped = start()
    wait_until(lambda: len(computed()) == 3)
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
    LOG.touch()
    stopped = start()
    wait_until(lambda: len(computed()) == 3)
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


def test_prune_keeps_what_living_workers_claim(jobs: list[RecordingJob], start: Worker) -> None:
    LOG.touch()
    worker = start()
    wait_until(lambda: len(computed()) == 2)
    os.kill(worker, signal.SIGSTOP)
    in_use = inventory.prune(None, 0)[1]
    claimed = {path.parent for path in content_store.root().glob("outputs/*/*.claim.*")}
    assert {item.folder for item in in_use} == claimed != set()
    os.kill(worker, signal.SIGKILL)
    exit_code(worker)
    age_claims()
    assert [item.kind for item in inventory.prune(None, 0)[0] if item.kind == "outputs"]


def test_workers_share_a_recipe(context: Contexts, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fitted teachers are fitted once, also without locks; the arrays are those of one process."""
    monkeypatch.setattr(lock, "fcntl", NoLocks)
    small = ("views=2", "fit.epochs=1")
    run = context(*small)
    plain = [teacher.recorded_outputs("train", 1) for teacher in prepare.prepare_teachers(run, 2)]
    monkeypatch.setenv("MTKD_STORE", "shared")

    def work() -> int:
        number = os.fork()
        if number:
            return number
        code = 1
        try:
            with worker_claims.claiming():
                prepare.prepare_teachers(context(*small), 2, as_worker=True)
            code = 0
        except BaseException:
            traceback.print_exc(file=sys.__stderr__)
        os._exit(code)

    fitted = Path("shared/fitted")
    assert [exit_code(worker) for worker in [work(), work()]] == [0, 0]
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
