"""The process group of a run: rank, size and collectives.

Every process runs the same program on its slice of the data; the first one prints, writes files and makes
decisions. In a single process every collective returns its argument, and torch.distributed is not used.
"""

from __future__ import annotations

import datetime
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any, ParamSpec, TypeVar

import torch
from torch import Tensor, distributed
from torch.distributed.rendezvous import rendezvous

from mtkd_cli.distributed import heartbeat
from mtkd_cli.errors import EngineError, UsageError, first_line
from mtkd_cli.files.lost_after import lost_after

Value = TypeVar("Value")
Arguments = ParamSpec("Arguments")

COLLECTIVE_TIMEOUT = datetime.timedelta(days=1)
"""Timeout of a collective. A process that fails or vanishes is noticed earlier, see `heartbeat`."""
CONNECT_TIMEOUT = datetime.timedelta(minutes=5)
"""Timeout for the processes to connect at the start."""
LEAST = 2
"""Minimum number of samples of a batch in each process: BatchNorm needs two."""


_began = 0


def size() -> int:
    """Return the number of processes."""
    return distributed.get_world_size() if _is_initialized() else 1


def rank() -> int:
    """Return the rank of this process, from 0."""
    return distributed.get_rank() if _is_initialized() else 0


def began_size() -> int:
    """Return the number of processes that the run began with: batches and content keys are made for it."""
    return _began or size()


@contextmanager
def began_with(processes: int) -> Iterator[None]:
    """Within the block, make batches and content keys for a number of processes; 0: for those of this run."""
    global _began
    before, _began = _began, processes
    try:
        yield
    finally:
        _began = before


def is_first() -> bool:
    """Whether this process prints, writes files and makes decisions."""
    return rank() == 0


@contextmanager
def process_group(device: str) -> Iterator[None]:
    """Initialize the process group within the block, if this is one of several processes.

    Args:
        device: value of ``--device``.

    Raises:
        UsageError: there are more processes than CUDA devices, ``device`` names a single one, or
            ``MTKD_LOST_AFTER`` is invalid.
        EngineError: the processes could not connect.
    """
    if os.environ.get("WORLD_SIZE", "") in ("", "1"):
        yield
        return
    lost_after(heartbeat.DEFAULT_SECONDS)  # raises before anything waits
    local_rank = int(os.environ.get("LOCAL_RANK") or 0)
    refuse_impossible_device(device, max(local_rank + 1, int(os.environ.get("LOCAL_WORLD_SIZE") or 1)))
    cuda = device != "cpu" and torch.cuda.is_available()
    if cuda:
        torch.cuda.set_device(local_rank)
    try:
        _connect("cpu:gloo,cuda:nccl" if cuda else "gloo")
    except (RuntimeError, ValueError) as error:
        raise EngineError(
            f"the processes could not connect: {first_line(error)}",
            where="RANK, WORLD_SIZE, MASTER_ADDR, MASTER_PORT",
            hint="the launcher must set these variables; use --processes or torchrun",
        ) from error
    try:
        with heartbeat.watch_others(rank(), size(), _connect_to_store, heartbeat.end_process):
            yield
    finally:
        distributed.destroy_process_group()


def refuse_impossible_device(device: str, processes: int) -> None:
    """Raise if several processes cannot use a device.

    Args:
        device: value of ``--device``.
        processes: number of processes on this machine.

    Raises:
        UsageError: there are more processes than CUDA devices, or ``device`` names a single one.
    """
    if ":" in device:
        raise UsageError("each process uses its own CUDA device", "--device", "use auto, cpu or cuda")
    if device != "cpu" and torch.cuda.is_available() and processes > torch.cuda.device_count():
        raise UsageError(
            f"this machine has {torch.cuda.device_count()} CUDA devices, but each process needs its own",
            where="--processes",
            hint="start fewer processes, or use --device cpu",
        )


def _connect(backend: str) -> None:
    """Wait until every process has connected, then initialize the process group."""
    store, own_rank, processes = next(rendezvous("env://", timeout=CONNECT_TIMEOUT))
    store.set(f"here/{own_rank}", "")
    store.wait([f"here/{each}" for each in range(processes)], CONNECT_TIMEOUT)
    distributed.init_process_group(
        backend, store=store, rank=own_rank, world_size=processes, timeout=COLLECTIVE_TIMEOUT
    )


def _connect_to_store(timeout: datetime.timedelta) -> heartbeat.Store:
    """Return a connection of its own to the store of the processes, for one attempt of theirs."""
    host, port = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
    attempt = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")
    store = distributed.TCPStore(  # type: ignore[attr-defined]
        host, port, is_master=False, timeout=timeout, wait_for_workers=False
    )
    own: heartbeat.Store = distributed.PrefixStore(f"mtkd/beat/{attempt}", store)  # type: ignore[attr-defined]
    return own


def _collective(function: Callable[Arguments, Value]) -> Callable[Arguments, Value]:
    """Raise `EngineError` where a collective fails because another process ended."""

    @wraps(function)
    def wrapped(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Value:
        try:
            return function(*args, **kwargs)
        except RuntimeError as error:
            raise EngineError(
                "another process of this run has ended",
                where=f"process {rank()} of {size()}",
                hint="see its output or its machine's log for the cause",
            ) from error

    return wrapped


@_collective
def broadcast(value: Value) -> Value:
    """Return the first process's value in every process."""
    if not _is_initialized():
        return value
    values: list[Any] = [value]
    distributed.broadcast_object_list(values, src=0)
    first: Value = values[0]
    return first


def first_then_others(function: Callable[[], Value]) -> Value:
    """Call a function in the first process, then in the others, which find the files it wrote.

    Returns:
        The result of the call in this process.
    """
    if not is_first():
        broadcast(None)
        return function()
    result = function()
    broadcast(None)
    return result


@_collective
def gather(value: Value) -> list[Value]:
    """Return the values of all processes in every process, ordered by rank."""
    if not _is_initialized():
        return [value]
    values: list[Any] = [None] * size()
    distributed.all_gather_object(values, value)
    return values


@_collective
def all_reduce_sum(tensor: Tensor) -> Tensor:
    """Return the sum of a tensor over the processes, detached."""
    if not _is_initialized():
        return tensor
    total = tensor.detach().clone()
    distributed.all_reduce(total)
    return total


def own_slice(length: int) -> slice:
    """Return the slice of a sequence of ``length`` items that this process works on."""
    return slice(length * rank() // size(), length * (rank() + 1) // size())


def _is_initialized() -> bool:
    return distributed.is_available() and distributed.is_initialized()
