"""Record: run one teacher over the views it has not answered yet, and keep its raw outputs."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import CancelledError, ThreadPoolExecutor, as_completed
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from mtkd_cli.data.dataset import Split
from mtkd_cli.data.views import PLAIN
from mtkd_cli.distributed import group
from mtkd_cli.errors import DataError
from mtkd_cli.files import atomic
from mtkd_cli.interfaces import Model, Task
from mtkd_cli.interfaces.missing_outputs import broadcast_per_sample, has_nonfinite
from mtkd_cli.interfaces.precision import at_least_float32
from mtkd_cli.models.batchnorm_folding import fold_batchnorm
from mtkd_cli.models.preprocess import with_preprocessing
from mtkd_cli.recipe.schema import Recipe
from mtkd_cli.store import content_store, recorded_outputs
from mtkd_cli.store.recorded_outputs import Recorded
from mtkd_cli.store.rounding import Rounding, largest, rounding_of
from mtkd_cli.store.row_format import Layout, kept_of
from mtkd_cli.teachers.inference import Ask
from mtkd_cli.training.out_of_memory import memory_errors
from mtkd_cli.training.progress import Progress

VALUES_IN_A_BATCH = 2**21
LARGEST_BATCH = {"cpu": 64}
"""By kind of device, else 256. On a CPU, more would not fit its cache and be slower by a fifth."""
FORMAT = 3
"""Changes when what is recorded is kept in another way."""
LESS = "lower --threads, take a smaller input: size, or another device"
ROOM = 1.1
"""Free bytes that must be there, as a share of those to be written."""


def key(teacher: Mapping[str, Any], split: Split, number: int, recipe: Recipe, task: Task) -> dict[str, Any]:
    """Return everything that decides one recorded array: teacher, samples, view, what is kept."""
    policy = {} if number == PLAIN else {"seed": recipe.views.seed, **recipe.augment.model_dump(mode="json")}
    return {
        "format": FORMAT,
        "teacher": dict(teacher),
        "samples": split.digest,
        "split": split.name,
        "view": number,
        "policy": policy,
        "store": {**kept_of(recipe, task), "on_nan": recipe.store.on_nan},
    }


def for_recording(model: Model, example: Tensor, device: torch.device) -> tuple[nn.Module, float]:
    """Return the teacher as it records, frozen and folded, and its largest difference to the plain one."""
    module = with_preprocessing(model).to(device).eval().requires_grad_(False)
    fast, difference = fold_batchnorm(module, example.to(device))
    if model.channels_last:
        fast = fast.to(memory_format=torch.channels_last)
    return fast, difference


def refuse_if_full(bytes_needed: int) -> None:
    """Raise before recording what the disk cannot hold; of several processes the first one, which takes it.

    Raises:
        DataError: with needed and free bytes, or the store is unusable.
    """
    if not group.is_first():
        return
    folder = content_store.root()
    with atomic.disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(folder).free
    if bytes_needed * ROOM > free:
        raise DataError(
            f"recording needs {bytes_needed:,} bytes, {free:,} are free",
            where=str(folder),
            hint="set MTKD_STORE to a larger disk, record fewer views, or set store.top_k",
        )


@dataclass(frozen=True)
class RecordingJob:
    """One view of one split that one teacher is to record.

    Attributes:
        teacher: name of the teacher, used in messages.
        ask: returns its outputs.
        layout: what is kept of each row.
        split: the samples.
        view: number of the view.
        key: everything that decides the array, see `key`.
        batch_size: samples in a batch, see `batch_size`.
        device: where the teacher runs.
        keep_gaps: whether a sample with non-finite outputs is kept as a gap instead of an error.
    """

    teacher: str
    ask: Ask
    layout: Layout
    split: Split
    view: int
    key: Mapping[str, Any]
    batch_size: int
    device: torch.device
    keep_gaps: bool = False

    @property
    def bytes_needed(self) -> int:
        """Bytes that the array still takes on the disk."""
        return recorded_outputs.bytes_to_take(self.key, self.layout, len(self.split))


def batch_size(input_size: int, device: torch.device) -> int:
    """Return the samples in a batch of a teacher whose input has sides of ``input_size`` pixels."""
    fitting = max(8, VALUES_IN_A_BATCH // (3 * input_size**2))
    return int(min(LARGEST_BATCH.get(device.type, 256), fitting))


def record_all(jobs: Sequence[RecordingJob], name: str, progress: Progress) -> list[Recorded]:
    """Record all jobs of a phase; return their complete arrays, in order.

    Raises:
        DataError: the disk has no room for them, or see `record`.
    """
    refuse_if_full(sum(job.bytes_needed for job in jobs))
    with progress.phase(name, sum(len(job.split) for job in jobs)):
        return [record(job, progress) for job in jobs]


def record(job: RecordingJob, progress: Progress) -> Recorded:
    """Record the shards of a job that are not there; return the complete array.

    On the CPU each shard is one thread's, with one thread inside the teacher: faster than one
    batch over all cores, and the answers do not depend on how many cores there are. Several
    processes each record some of the shards.

    Raises:
        DataError: the teacher answers NaN or infinity (teacher and sample are named), values that the
            recipe's number format does not hold, or the disk is full.
        MemoryFullError: a batch does not fit.
    """
    name, layout, split, batch = job.teacher, job.layout, job.split, job.batch_size
    samples, stop = len(split), threading.Event()
    dropped: list[tuple[str, int]] = []

    def outputs_of(shard: int) -> tuple[NDArray[Any], Rounding]:
        rows, roundings = [], []
        place = layout.rows_of(shard, samples)
        for start in range(place.start, place.stop, batch):
            if stop.is_set():
                raise CancelledError
            part = slice(start, min(start + batch, place.stop))
            output = at_least_float32(job.ask(split, part, job.view)).cpu()
            _refuse_odd(output, layout.shape, name, split.samples.ids[part])
            gaps = has_nonfinite(output)
            if gaps.any():
                sample = split.samples.ids[start + int(gaps.nonzero()[0].item())]
                if not job.keep_gaps:
                    raise no_answer(name, sample)
                dropped.append((sample, int(gaps.sum().item())))
                output = output.masked_fill(broadcast_per_sample(gaps, output), torch.nan)
            try:
                rows.append(layout.encode(output))
            except OverflowError as error:
                raise too_large(name, output, split.samples.ids[part], error) from error
            roundings.append(rounding_of(layout, output, rows[-1]))
        return np.concatenate(rows), largest(roundings)

    folder = recorded_outputs.folder_of(job.key)
    with content_store.locked(folder) if group.is_first() else nullcontext():
        wanted = group.broadcast(_to_record(job.key, layout, samples) if group.is_first() else [])
        array = recorded_outputs.begun(job.key, layout, samples)
        together = group.size()
        progress.advance(samples - sum(_length(layout.rows_of(shard, samples)) for shard in wanted))
        with _one_thread_each(job.device) as workers, ThreadPoolExecutor(workers) as pool:
            futures = {pool.submit(outputs_of, shard): shard for shard in wanted[group.rank() :: together]}
            try:
                for future in as_completed(futures):
                    with memory_errors(f"teacher {name!r}, batches of {batch}, {workers} at once", LESS):
                        rows, rounding = future.result()
                    recorded_outputs.write(array, futures.pop(future), rows, samples, rounding)
                    progress.advance(len(rows) * together)
            except BaseException:
                stop.set()
                pool.shutdown(cancel_futures=True)
                raise
        everyones = group.gather(dropped)
    dropped = [sample for theirs in everyones for sample in theirs]
    if dropped:
        count = sum(number for _, number in dropped)
        progress.say(
            f"teacher {name}: NaN or infinity on {count} samples ({min(dropped)[0]}), not heard there"
        )
    return recorded_outputs.begun(job.key, layout, samples)


def _to_record(array_key: Mapping[str, Any], layout: Layout, samples: int) -> list[int]:
    return recorded_outputs.missing(recorded_outputs.create(array_key, layout, samples), samples)


def _length(rows: slice) -> int:
    return int(rows.stop - rows.start)


@contextmanager
def _one_thread_each(device: torch.device) -> Iterator[int]:
    """Give how many shards to run at once; on the CPU, torch uses one thread within each meanwhile."""
    if device.type != "cpu":
        yield 1
        return
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield min(threads, os.cpu_count() or 1)
    finally:
        torch.set_num_threads(threads)


def _refuse_odd(output: Tensor, shape: tuple[int, ...], name: str, ids: tuple[str, ...]) -> None:
    if output.shape != (len(ids), *shape):
        raise DataError(
            f"the teacher {name!r} gives {tuple(output.shape)} for {len(ids)} samples of {shape}",
            where=f"samples {ids[0]} to {ids[-1]}",
            hint="it must answer each sample by itself, whatever the batch",
        )


def too_large(name: str, output: Tensor, ids: tuple[str, ...], error: OverflowError) -> DataError:
    """Return the error of a teacher whose values the recipe's number format does not hold."""
    sizes = output.abs().flatten(1).amax(dim=1)
    return DataError(
        f"the teacher {name!r} answers {sizes.max().item():.6g}; {error}",
        where=f"sample {ids[int(sizes.nan_to_num().argmax())]}",
        hint="leave out store.precision: values are then kept in a format that holds them",
    )


def no_answer(name: str, sample: str) -> DataError:
    """Return the error of a teacher that answers NaN."""
    return DataError(
        f"the teacher {name!r} answers NaN or infinity",
        where=f"sample {sample}",
        hint="check its checkpoint and its input: mean and std; store.on_nan: drop leaves it out there",
    )
