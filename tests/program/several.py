"""Several processes on one machine, as torchrun or Slurm start them, but forked: torch is there already."""

from __future__ import annotations

import os
import pickle
import socket
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch._dynamo  # which an optimizer imports: once, instead of in every fork

from mtkd_cli.distributed import group

# Autograd looks for devices once. Later a library may have registered one of its own, for which it would
# start threads, and a process with those cannot be forked.
torch.zeros(1, requires_grad=True).backward()  # type: ignore[no-untyped-call]


def free_port() -> int:
    """Return an unused port."""
    with socket.socket() as found:
        found.bind(("localhost", 0))
        port: int = found.getsockname()[1]
        return port


def environment(rank: int, processes: int, port: int) -> dict[str, str]:
    """Return the environment variables that torchrun sets."""
    numbers = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": processes, "LOCAL_WORLD_SIZE": processes}
    return {name: str(number) for name, number in numbers.items()} | {
        "MASTER_ADDR": "localhost",
        "MASTER_PORT": str(port),
    }


def together(work: Callable[[], Any], processes: int, folder: Path) -> list[Any]:
    """Call a function in several processes that form a group; return the result of each."""
    port = free_port()
    numbers = [
        _fork(work, environment(rank, processes, port), folder / str(rank)) for rank in range(processes)
    ]
    codes = [os.waitstatus_to_exitcode(os.waitpid(number, 0)[1]) for number in numbers]
    assert codes == [0] * processes, codes
    return [pickle.loads((folder / str(rank)).read_bytes()) for rank in range(processes)]


def _wait_for_all(result: Path, processes: int) -> None:
    """Wait until all processes have joined: one that ends earlier would break the others' connections."""
    here, ends = f"joined-{os.environ['MASTER_PORT']}", time.monotonic() + 60  # one may have failed to join
    (result.parent / f"{here}-{result.name}").touch()
    while len(list(result.parent.glob(f"{here}-*"))) < processes and time.monotonic() < ends:
        time.sleep(0.005)


def _fork(work: Callable[[], Any], told: dict[str, str], result: Path) -> int:
    number = os.fork()
    if number:
        return number
    code = 1
    try:
        os.environ |= told
        torch.set_num_threads(1)
        with group.process_group("cpu"):
            _wait_for_all(result, int(told["WORLD_SIZE"]))
            result.write_bytes(pickle.dumps(work()))
        code = 0
    except BaseException:
        traceback.print_exc(file=sys.__stderr__)
    os._exit(code)
