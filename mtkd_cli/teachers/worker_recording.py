"""Record a teacher in one of any number of independent workers, which claim shards through the store."""

from __future__ import annotations

import contextlib
import random
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, CancelledError, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field

from mtkd_cli.files import atomic
from mtkd_cli.files.claims import Claim, Claimant
from mtkd_cli.store import content_store, recorded_outputs, shard_pieces, worker_claims
from mtkd_cli.store.recorded_outputs import RecordedArray
from mtkd_cli.teachers import recording
from mtkd_cli.teachers.recording import RecordingJob
from mtkd_cli.training.progress import Progress


def contribute(jobs: Sequence[RecordingJob], name: str, progress: Progress) -> None:
    """Record the shards that no living worker has claimed, without waiting for others.

    Raises:
        DataError, MemoryFullError: see `recording.record_all`.
    """
    _share(jobs, name, progress, until_complete=False)


def finish(jobs: Sequence[RecordingJob], name: str, progress: Progress) -> list[RecordedArray]:
    """Record like `contribute`, then wait for the shards of other workers; return the arrays, in order.

    A shard whose worker is lost is recorded by this one.

    Raises:
        DataError, MemoryFullError: see `recording.record_all`.
    """
    _share(jobs, name, progress, until_complete=True)
    return [recorded_outputs.open_existing(job.key, job.layout, len(job.split)) for job in jobs]


def is_complete(job: RecordingJob) -> bool:
    """Whether all shards of a job are in its array."""
    return recorded_outputs.is_complete(job.key, len(job.split))


def _share(jobs: Sequence[RecordingJob], name: str, progress: Progress, until_complete: bool) -> None:
    owner = worker_claims.claimant()
    if owner is None:
        raise RuntimeError("call this within worker_claims.claiming()")
    shares = [_Share(job, owner) for job in jobs]
    recording.require_disk_space(_bytes_needed(shares))
    with (
        progress.phase(name, sum(len(job.split) for job in jobs)),
        recording.one_thread_each(jobs[0].device) as threads,
    ):
        shown = _count_samples(shares)
        progress.resume_after(shown)

        def show() -> None:
            nonlocal shown
            before, shown = shown, max(shown, _count_samples(shares))
            if shown > before:
                progress.advance(shown - before)

        is_told = False
        while True:
            _record_unclaimed(shares, threads, show)
            for share in shares:
                share.put_together()
            show()
            if not until_complete or all(share.is_done() for share in shares):
                break
            if not is_told:
                progress.say(f"{name}: waiting for the shards of other workers")
                is_told = True
            time.sleep(worker_claims.poll_seconds(owner))
    for share in shares:
        recording.report_gaps(share.job.teacher, share.gap_counts, progress)


def _count_samples(shares: Sequence[_Share]) -> int:
    """Return the number of samples that any worker has recorded."""
    return sum(share.count_samples() for share in shares)


def _bytes_needed(shares: Sequence[_Share]) -> int:
    """Return the disk space for the missing pieces, and for the largest array while it is put together."""
    missing = sum(
        (len(share.job.split) - share.count_samples()) * share.job.layout.dtype.itemsize for share in shares
    )
    return missing + max(share.job.bytes_needed for share in shares)


def _record_unclaimed(shares: Sequence[_Share], threads: int, show: Callable[[], None]) -> None:
    """Record shards until none can be claimed; call ``show`` now and then."""
    stop, board = threading.Event(), _Board(shares)

    def work() -> None:
        while not stop.is_set() and (found := board.take()) is not None:
            share, shard, claim = found
            share.record(shard, claim, stop)

    with ThreadPoolExecutor(threads) as pool:
        running: set[Future[None]] = {pool.submit(work) for _ in range(threads)}
        try:
            while running:
                done, running = wait(running, worker_claims.poll_seconds(shares[0].owner), FIRST_EXCEPTION)
                for future in done:
                    with recording.shard_memory_errors(shares[0].job, threads):
                        future.result()
                show()
        finally:  # after an error or a signal, the threads end after their batches and release their claims
            stop.set()


@dataclass
class _Share:
    """An array that workers record together.

    Attributes:
        job: the recording.
        owner: takes claims for this process.
        damaged: shards of the array with a wrong checksum, not recorded again yet.
        gap_counts: see `recording.compute_shard`.
    """

    job: RecordingJob
    owner: Claimant
    damaged: set[int] = field(default_factory=set)
    gap_counts: list[tuple[str, int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        job = self.job
        array = recorded_outputs.open_array(recorded_outputs.folder_of(job.key), len(job.split))
        if array is not None and array.layout == job.layout:
            # Read first: a shard that another worker adds in the meantime is not damaged.
            written = set(recorded_outputs.read_checksums(array.folder))
            self.damaged = written & set(recorded_outputs.missing_shards(array, len(job.split)))
        if not self.is_done():
            shard_pieces.create_folder(job.key, job.layout, len(job.split))

    @property
    def shard_count(self) -> int:
        """Number of shards of the array."""
        return self.job.layout.shard_count(len(self.job.split))

    def is_done(self) -> bool:
        """Whether all shards are in the array, and none is damaged."""
        if not is_complete(self.job):
            return False
        if self.damaged:
            folder, samples = recorded_outputs.folder_of(self.job.key), len(self.job.split)
            array = recorded_outputs.open_array(folder, samples)
            self.damaged = set() if array is None else set(recorded_outputs.missing_shards(array, samples))
        return not self.damaged

    def recorded_shards(self) -> set[int]:
        """Return the shards that have a piece, or are in the array."""
        return set(shard_pieces.list_files(self.job.key).recorded) | self._shards_in_array()

    def _shards_in_array(self) -> set[int]:
        written = recorded_outputs.read_checksums(recorded_outputs.folder_of(self.job.key))
        return set(written) - self.damaged

    def _is_recorded(self, shard: int) -> bool:
        return shard_pieces.has_piece(self.job.key, shard) or shard in self._shards_in_array()

    def count_samples(self) -> int:
        """Return the number of samples that any worker has recorded."""
        rows = (self.job.layout.rows_of(shard, len(self.job.split)) for shard in self.recorded_shards())
        return sum(part.stop - part.start for part in rows)

    def take(self, shard: int) -> Claim | None:
        """Claim a shard; return None if a living worker has, or if it is recorded.

        Raises:
            DataError: the disk is full, read-only or otherwise unusable.
        """
        key = self.job.key
        if self._is_recorded(shard):
            return None
        folder = shard_pieces.folder_of(key)
        try:
            claim = self.owner.take(shard_pieces.claim_path(key, shard))
        except FileNotFoundError:  # another worker has put the array together, or the store was pruned
            if not self.is_done():
                shard_pieces.create_folder(key, self.job.layout, len(self.job.split))
            return None
        except OSError as error:
            raise atomic.disk_error(error, folder) from error
        if claim is not None and self._is_recorded(shard):
            self.owner.release(claim)
            return None
        return claim

    def record(self, shard: int, claim: Claim, stop: threading.Event) -> None:
        """Record a claimed shard; release the claim if that fails, or if it is interrupted."""
        job = self.job
        try:
            rows, rounding = recording.compute_shard(job, shard, stop, self.gap_counts)
            shard_pieces.write_piece(job.key, job.layout, shard, rows, rounding)
        except CancelledError:
            self.owner.release(claim)
        except BaseException:
            self.owner.release(claim)
            raise
        else:
            self.owner.leave(claim)

    def put_together(self) -> None:
        """Move the pieces into the array if all are there, unless another process does."""
        job, samples = self.job, len(self.job.split)
        if not self.is_done() and len(self.recorded_shards()) == self.shard_count:
            folder = recorded_outputs.folder_of(job.key)
            with contextlib.suppress(BlockingIOError), content_store.lock_folder(folder, wait=False):
                if not self.is_done():
                    array = recorded_outputs.create(job.key, job.layout, samples)
                    shard_pieces.adopt_pieces(array, job.key, samples)
        if self.is_done():
            shard_pieces.remove_folder(job.key)  # also one that a worker created again after a pause


class _Board:
    """Hands out the shards that this process can claim, to several threads."""

    def __init__(self, shares: Sequence[_Share]) -> None:
        self.shares, self._lock = shares, threading.Lock()
        self._listed: Iterator[tuple[_Share, int]] = iter(())

    def take(self) -> tuple[_Share, int, Claim] | None:
        """Claim a shard; return None if living workers have claimed all that are left."""
        with self._lock:
            for listing in (self._listed, self._list()):
                self._listed = listing
                for share, shard in listing:
                    if (claim := share.take(shard)) is not None:
                        return share, shard, claim
            return None

    def _list(self) -> Iterator[tuple[_Share, int]]:
        """Yield the shards that are not recorded: first those without a claim, then those that may be lost.

        Each worker starts elsewhere, so that few try to claim the same shard at once.
        """
        free: list[tuple[_Share, int]] = []
        claimed: list[tuple[_Share, int]] = []
        for share in self.shares:
            if share.is_done():
                continue
            owned, recorded = shard_pieces.list_files(share.job.key).claimed, share.recorded_shards()
            first = random.SystemRandom().randrange(share.shard_count)
            for number in range(share.shard_count):
                shard = (first + number) % share.shard_count
                if shard not in recorded:
                    (claimed if shard in owned else free).append((share, shard))
        yield from free
        yield from claimed
