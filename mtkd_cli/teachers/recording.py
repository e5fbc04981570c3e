"""Record a teacher: run it on the views that are not recorded yet, and store its raw outputs."""

from __future__ import annotations

import math
import os
import shutil
import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import CancelledError, ThreadPoolExecutor, as_completed
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mtkd_cli.data.dataset import Split
from mtkd_cli.data.views import PLAIN
from mtkd_cli.distributed import group
from mtkd_cli.errors import DataError
from mtkd_cli.files import atomic
from mtkd_cli.interfaces import Task, sides
from mtkd_cli.interfaces.missing_outputs import broadcast_per_sample, has_nonfinite
from mtkd_cli.interfaces.precision import at_least_float32
from mtkd_cli.recipe.schema import Recipe
from mtkd_cli.store import content_store, recorded_outputs, shard_pieces
from mtkd_cli.store.recorded_outputs import RecordedArray
from mtkd_cli.store.rounding import Rounding, max_rounding, measure_rounding
from mtkd_cli.store.row_format import Layout, storage_options
from mtkd_cli.teachers.recorded_predictions import Encode, OutputFunction
from mtkd_cli.training.out_of_memory import memory_errors
from mtkd_cli.training.progress import Progress

MAX_VALUES = {"cpu": 4 * 3 * 224**2}
"""Maximum number of input values in a batch by device type, else 2**21. On a CPU, blocks of more than 32 MiB
are returned to the system after each operation, and new pages cost more than the computation."""
MAX_BATCH = {"cpu": 64}
"""Maximum batch size by device type, else 256. Larger batches exceed a CPU's cache and are 20 % slower."""
FORMAT = 3
"""Version of the recorded format; part of the content key."""
MEMORY_HINT = "lower --threads, set a smaller input: size, or use another device"
FREE_SPACE_FACTOR = 1.1
"""Required free disk space, as a multiple of the bytes to be written."""


def key(teacher: Mapping[str, Any], split: Split, number: int, recipe: Recipe, task: Task) -> dict[str, Any]:
    """Return the content key of one recorded array: teacher, samples, view, number format."""
    runtime = {} if recipe.store.runtime == "torch" else {"runtime": recipe.store.runtime}
    policy = {} if number == PLAIN else {"seed": recipe.views.seed, **recipe.augment.model_dump(mode="json")}
    return {
        "format": FORMAT,
        "teacher": dict(teacher),
        "samples": split.digest,
        "split": split.name,
        "view": number,
        "policy": policy,
        "store": {**storage_options(recipe, task, split.name), "on_nan": recipe.store.on_nan, **runtime},
    }


def require_disk_space(bytes_needed: int) -> None:
    """Raise if the disk has too little free space. Only the first of several processes checks: it allocates.

    Raises:
        DataError: too little free space, or the store is unusable.
    """
    if not group.is_first():
        return
    folder = content_store.root()
    with atomic.disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(folder).free
    if bytes_needed * FREE_SPACE_FACTOR > free:
        raise DataError(
            f"recording needs {bytes_needed:,} bytes, but only {free:,} are free",
            where=str(folder),
            hint="set MTKD_STORE to a folder on a larger disk, record fewer views, or set store.top_k",
        )


@dataclass(frozen=True)
class RecordingJob:
    """A recording of one view of one split by one teacher.

    Attributes:
        teacher: name of the teacher, used in messages.
        outputs: function that returns its outputs.
        layout: storage layout of each row.
        split: samples to record.
        view: number of the view.
        key: content key of the array, see `key`.
        batch_size: samples per batch, see `batch_size`.
        device: device of the teacher.
        keep_gaps: store samples with non-finite outputs as NaN instead of raising.
        encode: function that encodes outputs, instead of the layout; see `recorded_predictions`.
    """

    teacher: str
    outputs: OutputFunction
    layout: Layout
    split: Split
    view: int
    key: Mapping[str, Any]
    batch_size: int
    device: torch.device
    keep_gaps: bool = False
    encode: Encode | None = None

    @property
    def bytes_needed(self) -> int:
        """Additional disk space for the array, in bytes."""
        return recorded_outputs.additional_bytes(self.key, self.layout, len(self.split))


def batch_size(input_size: int | tuple[int, int], device: torch.device) -> int:
    """Return the batch size for a teacher with inputs of a size in pixels."""
    fitting = MAX_VALUES.get(device.type, 2**21) // (3 * math.prod(sides(input_size)))
    least = 1 if device.type == "cpu" else 8
    return int(min(MAX_BATCH.get(device.type, 256), max(least, fitting)))


def record_all(jobs: Sequence[RecordingJob], name: str, progress: Progress) -> list[RecordedArray]:
    """Record all jobs of a phase; return their complete arrays, in order.

    Raises:
        DataError: too little free disk space, or see `record`.
    """
    require_disk_space(sum(job.bytes_needed for job in jobs))
    with progress.phase(name, sum(len(job.split) for job in jobs)):
        return [record(job, progress) for job in jobs]


def record(job: RecordingJob, progress: Progress) -> RecordedArray:
    """Record the missing shards of a job; return the complete array.

    On the CPU each shard is computed by one thread, with one torch thread inside: faster than one batch over
    all cores, and outputs do not depend on the number of cores. Several processes each record some shards.

    Raises:
        DataError: the teacher's outputs are not finite, have a wrong shape, or exceed the number format; the
            message names teacher and sample. Or the disk is full.
        MemoryFullError: a batch does not fit into memory.
    """
    layout, samples, stop = job.layout, len(job.split), threading.Event()
    gap_counts: list[tuple[str, int]] = []

    folder = recorded_outputs.folder_of(job.key)
    with content_store.lock_folder(folder) if group.is_first() else nullcontext():
        missing = group.broadcast(_missing_shards(job.key, layout, samples) if group.is_first() else [])
        array = recorded_outputs.open_existing(job.key, layout, samples)
        processes = group.size()
        progress.resume_after(samples - sum(_row_count(layout.rows_of(shard, samples)) for shard in missing))
        with one_thread_each(job.device) as workers, ThreadPoolExecutor(workers) as pool:
            futures = {
                pool.submit(compute_shard, job, shard, stop, gap_counts): shard
                for shard in missing[group.rank() :: processes]
            }
            try:
                for future in as_completed(futures):
                    with shard_memory_errors(job, workers):
                        rows, rounding = future.result()
                    recorded_outputs.write_shard(array, futures.pop(future), rows, samples, rounding)
                    progress.advance(len(rows) * processes)
            except BaseException:
                stop.set()
                pool.shutdown(cancel_futures=True)
                raise
        gathered = group.gather(gap_counts)
        if group.is_first():
            shard_pieces.remove_folder(job.key)
    report_gaps(job.teacher, [gap for counts in gathered for gap in counts], progress)
    return recorded_outputs.open_existing(job.key, layout, samples)


def _missing_shards(array_key: Mapping[str, Any], layout: Layout, samples: int) -> list[int]:
    """Return the shards to record; those that workers have recorded are moved into the array."""
    array = recorded_outputs.create(array_key, layout, samples)
    shard_pieces.adopt_pieces(array, array_key, samples)
    return recorded_outputs.missing_shards(array, samples)


def compute_shard(
    job: RecordingJob, shard: int, stop: threading.Event, gap_counts: list[tuple[str, int]]
) -> tuple[NDArray[Any], Rounding]:
    """Return the rows of a shard, and how much they were rounded.

    Args:
        job: the recording.
        shard: index of the shard.
        stop: set by another thread to stop after the current batch.
        gap_counts: the first sample of a batch with non-finite outputs, and their number, are added to it.

    Raises:
        DataError, MemoryFullError: see `record`.
        CancelledError: ``stop`` is set.
    """
    layout, split, batch = job.layout, job.split, job.batch_size
    rows, roundings = [], []
    shard_rows = layout.rows_of(shard, len(split))
    for start in range(shard_rows.start, shard_rows.stop, batch):
        if stop.is_set():
            raise CancelledError
        part = slice(start, min(start + batch, shard_rows.stop))
        output = at_least_float32(job.outputs(split, part, job.view)).cpu()
        _check_shape(output, layout.shape, job.teacher, split.samples.ids[part])
        gaps = has_nonfinite(output)
        if gaps.any():
            sample = split.samples.ids[start + int(gaps.nonzero()[0].item())]
            if not job.keep_gaps:
                raise nonfinite_error(job.teacher, sample)
            gap_counts.append((sample, int(gaps.sum().item())))
            output = output.masked_fill(broadcast_per_sample(gaps, output), torch.nan)
        try:
            rows.append(job.encode(split, part, output) if job.encode else layout.encode(output))
        except OverflowError as error:
            raise overflow_error(job.teacher, output, split.samples.ids[part], error) from error
        roundings.append(measure_rounding(layout, output, rows[-1]))
    return np.concatenate(rows), max_rounding(roundings)


def shard_memory_errors(job: RecordingJob, workers: int) -> AbstractContextManager[None]:
    """Return a context that explains a full memory while a number of threads record shards."""
    return memory_errors(
        f"teacher {job.teacher!r}, batches of {job.batch_size}, {workers} at once", MEMORY_HINT
    )


def report_gaps(teacher: str, gap_counts: Sequence[tuple[str, int]], progress: Progress) -> None:
    """Report the samples with non-finite outputs, if there are any, see `compute_shard`."""
    if gap_counts:
        count, first = sum(number for _, number in gap_counts), min(gap_counts)[0]
        progress.say(f"teacher {teacher}: non-finite outputs on {count} samples ({first}); ignored on them")


def _row_count(rows: slice) -> int:
    return int(rows.stop - rows.start)


@contextmanager
def one_thread_each(device: torch.device) -> Iterator[int]:
    """Yield the number of shards to run in parallel; on the CPU, torch uses one thread in each."""
    if device.type != "cpu":
        yield 1
        return
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield min(threads, os.cpu_count() or 1)
    finally:
        torch.set_num_threads(threads)


def _check_shape(output: Tensor, shape: tuple[int, ...], name: str, ids: Sequence[str]) -> None:
    if output.shape != (len(ids), *shape):
        raise DataError(
            f"the teacher {name!r} returned {tuple(output.shape)} for {len(ids)} samples of {shape}",
            where=f"samples {ids[0]} to {ids[-1]}",
            hint="return one output per sample, for any batch size",
        )


def overflow_error(name: str, output: Tensor, ids: Sequence[str], error: OverflowError) -> DataError:
    """Return the error for outputs that exceed the recipe's number format."""
    largest_values = output.abs().flatten(1).amax(dim=1)
    return DataError(
        f"the teacher {name!r} returned {largest_values.max().item():.6g}; {error}",
        where=f"sample {ids[int(largest_values.nan_to_num().argmax())]}",
        hint="remove store.precision: the default format holds these values",
    )


def nonfinite_error(name: str, sample: str) -> DataError:
    """Return the error for a teacher with non-finite outputs."""
    return DataError(
        f"the teacher {name!r} returned NaN or infinity",
        where=f"sample {sample}",
        hint="check its checkpoint and its input: mean and std, or set store.on_nan: drop to ignore it there",
    )
