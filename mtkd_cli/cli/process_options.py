"""``--processes`` and related options: run one command in several processes."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from mtkd_cli.cli import console
from mtkd_cli.cli.number_limits import at_most
from mtkd_cli.distributed import first_failure, heartbeat
from mtkd_cli.distributed.parent_watch import end_with_parent
from mtkd_cli.errors import UsageError
from mtkd_cli.files.lost_after import lost_after

Processes = Annotated[
    int,
    typer.Option(
        min=0,
        callback=at_most(256, "each process needs a core and memory of its own"),
        help="Number of processes on this machine. 0: as the run had, or one.",
    ),
]
Nodes = Annotated[
    int,
    typer.Option(
        min=1,
        callback=at_most(1000, "every step waits for all of them"),
        help="Number of machines. Run the same command on each of them.",
    ),
]
Rendezvous = Annotated[
    str,
    typer.Option(
        metavar="HOST:PORT", help="Address where the machines connect: one of them and a free port."
    ),
]
Restarts = Annotated[
    int,
    typer.Option(
        min=0,
        callback=at_most(1000, "a run that dies so often does not end"),
        help="Maximum number of restarts after a process dies.",
    ),
]


def launch_if_several(
    processes: int,
    nodes: int,
    rendezvous: str,
    restarts: int,
    name: str,
    resume_hint: str,
    more: Sequence[str] = (),
) -> None:
    """Run this command in several processes and exit, if the options ask for several; else return.

    Args:
        processes: number of processes on this machine; 0 is one.
        nodes: number of machines.
        rendezvous: ``HOST:PORT`` where the machines connect.
        restarts: maximum number of restarts.
        name: name of the run.
        resume_hint: how the user resumes the run, for messages.
        more: arguments of the processes besides those of this one.

    Raises:
        UsageError: ``--nodes`` and ``--rendezvous`` were not given together.
        Exit: the processes have ended.
    """
    if is_worker():
        return
    require_rendezvous(nodes, rendezvous)
    if max(1, processes) * nodes == 1:
        return

    from mtkd_cli.distributed.launcher import launch

    arguments = [*sys.argv[1:], *more]
    code = launch(
        arguments, max(1, processes), nodes, rendezvous, restarts, name, resume_hint, console.print_status
    )
    raise typer.Exit(code)


def require_rendezvous(nodes: int, rendezvous: str) -> None:
    """Raise if only one of ``--nodes`` and ``--rendezvous`` is given.

    Raises:
        UsageError: the other one is missing.
    """
    if nodes > 1 and not rendezvous:
        raise UsageError(
            "--nodes needs --rendezvous", "--rendezvous", "pass HOST:PORT of one of the machines"
        )
    if rendezvous and nodes == 1:
        raise UsageError(
            "--rendezvous needs --nodes greater than 1",
            "--rendezvous",
            "pass --nodes, or remove --rendezvous",
        )


def refuse_several(option: str, processes: int) -> None:
    """Raise if several processes are to run a command with an option that takes one.

    Raises:
        UsageError: they are.
    """
    if processes > 1 or is_worker():
        raise UsageError(f"{option} trains in one process", where=option, hint="remove --processes")


def prepare_process(processes: int, nodes: int) -> None:
    """Set up this process before torch is imported: a worker watches its parent, a launcher logs less.

    Raises:
        UsageError: ``--processes`` differs from the number of processes that the launcher started, or
            ``MTKD_LOST_AFTER`` is invalid.
    """
    lost_after(heartbeat.DEFAULT_SECONDS)
    if is_worker():
        started = os.environ["WORLD_SIZE"]
        if processes and str(processes * nodes) != started:
            raise UsageError(
                f"--processes asks for {processes * nodes} processes, but the launcher started {started}",
                where="--processes, WORLD_SIZE",
                hint="remove --processes; the launcher sets the number of processes",
            )
        first_failure.mark_started()
        end_with_parent()
    elif max(1, processes) * nodes > 1:
        os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")


def is_worker() -> bool:
    """Whether a launcher started this process as one of several."""
    return os.environ.get("WORLD_SIZE", "") not in ("", "1")


def is_restart() -> bool:
    """Whether this process was started after an earlier attempt failed."""
    return os.environ.get("MTKD_ATTEMPT", "0") != "0"
