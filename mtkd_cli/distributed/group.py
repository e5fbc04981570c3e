"""The processes that work on one run: who this one is, and what all of them must agree on.

Every process runs the same program on its share; the first one talks, writes and decides. Alone, every
function gives back what it was given, and torch.distributed is not touched.
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

from mtkd_cli.errors import EngineError, UsageError, first_line

Value = TypeVar("Value")
Arguments = ParamSpec("Arguments")

PATIENCE = datetime.timedelta(hours=1)
"""How long one process waits for another at work. That one has failed is noticed at once; this is for a
machine that vanishes without a word."""
MEET = datetime.timedelta(minutes=5)
"""How long the processes wait for each other at first."""
LEAST = 2
"""Samples of a batch that each process has at least: BatchNorm needs two."""


def size() -> int:
    """Return the number of processes."""
    return distributed.get_world_size() if _together() else 1


def rank() -> int:
    """Return the number of this process, from 0."""
    return distributed.get_rank() if _together() else 0


def is_first() -> bool:
    """Whether this is the process that talks, writes and decides."""
    return rank() == 0


@contextmanager
def joined(device: str) -> Iterator[None]:
    """Within, the processes that were started together work together; else this one is alone.

    Args:
        device: what ``--device`` says.

    Raises:
        UsageError: more processes than CUDA devices on this machine, or one device is named.
        EngineError: the processes do not find each other.
    """
    if os.environ.get("WORLD_SIZE", "") in ("", "1"):
        yield
        return
    if ":" in device:
        raise UsageError("each process takes its own CUDA device", "--device", "use auto, cpu or cuda")
    cuda = device != "cpu" and torch.cuda.is_available()
    if cuda:
        _take_cuda_device(int(os.environ.get("LOCAL_RANK") or 0))
    try:
        _meet("cpu:gloo,cuda:nccl" if cuda else "gloo")
    except (RuntimeError, ValueError) as error:
        raise EngineError(
            f"the processes do not find each other: {first_line(error)}",
            where="RANK, WORLD_SIZE, MASTER_ADDR, MASTER_PORT",
            hint="whoever starts the processes sets these: torchrun does, and --processes",
        ) from error
    try:
        yield
    finally:
        distributed.destroy_process_group()


def _meet(backend: str) -> None:
    """Wait until every process is there, then join them."""
    store, number, processes = next(rendezvous("env://", timeout=MEET))
    store.set(f"here/{number}", "")
    store.wait([f"here/{each}" for each in range(processes)], MEET)
    distributed.init_process_group(backend, store=store, rank=number, world_size=processes, timeout=PATIENCE)


def _take_cuda_device(number: int) -> None:
    if number >= torch.cuda.device_count():
        raise UsageError(
            f"this machine has {torch.cuda.device_count()} CUDA devices, each process needs its own",
            where="--processes",
            hint="start fewer processes, or use --device cpu",
        )
    torch.cuda.set_device(number)


def _collective(function: Callable[Arguments, Value]) -> Callable[Arguments, Value]:
    """Say so when the other side of a collective is gone."""

    @wraps(function)
    def wrapped(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Value:
        try:
            return function(*args, **kwargs)
        except RuntimeError as error:
            raise EngineError(
                "another process of this run is gone",
                where=f"process {rank()} of {size()}",
                hint="what it said before, or its machine's log, tells why",
            ) from error

    return wrapped


@_collective
def same(value: Value) -> Value:
    """Return the first process's value, in all of them."""
    if not _together():
        return value
    box: list[Any] = [value]
    distributed.broadcast_object_list(box, src=0)
    found: Value = box[0]
    return found


def after_the_first(look: Callable[[], Value]) -> Value:
    """Return what this process finds once the first one has looked: what that found is there then."""
    if not is_first():
        same(None)
        return look()
    found = look()
    same(None)
    return found


@_collective
def everyones(value: Value) -> list[Value]:
    """Return the value of every process, in all of them, in the order of their numbers."""
    if not _together():
        return [value]
    boxes: list[Any] = [None] * size()
    distributed.all_gather_object(boxes, value)
    return boxes


@_collective
def summed(tensor: Tensor) -> Tensor:
    """Return the sum of a tensor over the processes, without gradient."""
    if not _together():
        return tensor
    total = tensor.detach().clone()
    distributed.all_reduce(total)
    return total


def share(length: int) -> slice:
    """Return this process's part of so many things, in their order."""
    return slice(length * rank() // size(), length * (rank() + 1) // size())


def _together() -> bool:
    return distributed.is_available() and distributed.is_initialized()
