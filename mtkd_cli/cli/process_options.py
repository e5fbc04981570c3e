"""``--processes`` and what goes with it: one command, run by several processes."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from mtkd_cli.cli import console
from mtkd_cli.distributed import first_failure
from mtkd_cli.distributed.parent_watch import end_with_parent
from mtkd_cli.errors import UsageError

Processes = Annotated[
    int, typer.Option(min=0, help="Processes on this machine; 0: one, or as many as the run has.")
]
Nodes = Annotated[int, typer.Option(min=1, help="Machines on each of which this command is run.")]
Rendezvous = Annotated[
    str, typer.Option(metavar="HOST:PORT", help="Where the machines meet: one of them, a free port there.")
]
Restarts = Annotated[int, typer.Option(min=0, help="How often processes that were lost are started again.")]


def launch_if_several(
    processes: int,
    nodes: int,
    rendezvous: str,
    restarts: int,
    name: str,
    again: str,
    more: Sequence[str] = (),
) -> None:
    """Run this command in several processes if that is asked for, and end; else return.

    Args:
        processes: on this machine.
        nodes: machines.
        rendezvous: where they meet.
        restarts: how often to start again.
        name: of the run.
        again: how to go on with it, for messages.
        more: arguments that this process was not given and the others need.

    Raises:
        UsageError: options that do not go together.
        Exit: the processes are done.
    """
    if is_one_of_several():
        return
    if nodes > 1 and not rendezvous:
        raise UsageError(
            "several machines must know where to meet", "--rendezvous", "give one machine's HOST:PORT"
        )
    if rendezvous and nodes == 1:
        raise UsageError("one machine meets nobody", "--rendezvous", "give --nodes, or leave it out")
    if max(1, processes) * nodes == 1:
        return

    from mtkd_cli.distributed.launcher import launch

    arguments = [*sys.argv[1:], *more]
    code = launch(arguments, max(1, processes), nodes, rendezvous, restarts, name, again, console.talk)
    raise typer.Exit(code)


def begin(processes: int, nodes: int) -> None:
    """Do what must be done before torch is imported: watch the parent, silence torch about the others.

    Raises:
        UsageError: another number of processes than whoever started this one tells.
    """
    if is_one_of_several():
        there = os.environ["WORLD_SIZE"]
        if processes and str(processes * nodes) != there:
            raise UsageError(
                f"this is one of {there} processes already, {processes * nodes} are asked for",
                where="--processes, WORLD_SIZE",
                hint="leave --processes out: whoever started this process says how many there are",
            )
        first_failure.mark_started()
        end_with_parent()
    elif max(1, processes) * nodes > 1:
        os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")


def is_one_of_several() -> bool:
    """Whether someone started this process as one of several."""
    return os.environ.get("WORLD_SIZE", "") not in ("", "1")


def was_started_before() -> bool:
    """Whether this process replaces one that was lost."""
    return os.environ.get("MTKD_ATTEMPT", "0") != "0"
