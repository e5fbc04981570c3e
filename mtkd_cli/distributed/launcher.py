"""Start a run's processes on this machine by torch's elastic launcher; start them again if some are lost."""

from __future__ import annotations

import dataclasses
import logging
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs, SignalException
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
from torch.distributed.elastic.rendezvous.api import RendezvousError
from torch.distributed.launcher.api import LaunchConfig, elastic_launch

from mtkd_cli.distributed import first_failure
from mtkd_cli.distributed.parent_watch import PARENT
from mtkd_cli.distributed.signals import Interrupted
from mtkd_cli.errors import EngineError, StoppedError, first_line
from mtkd_cli.safe_loading.quiet_logs import quiet

ATTEMPT = "MTKD_ATTEMPT"
"""Tells a process how often its run was started before it, so that it goes on."""
AGAIN_SECONDS = 1.0
MEET_SECONDS = 300
"""How long the machines wait for each other."""
STOP_SECONDS = 3600
"""How long processes that a signal came to may take to finish what they are at; a second signal ends them."""


@quiet(logging.ERROR)  # the launcher's own account of what is told here
def launch(
    arguments: Sequence[str],
    processes: int,
    nodes: int,
    rendezvous: str,
    restarts: int,
    run: str,
    again: str,
    say: Callable[[str], None],
) -> int:
    """Run mtkd with some arguments in several processes; return the exit code.

    A process that ends without telling why (it was killed, its machine is gone) ends the others, and all
    start again from the last checkpoint. What a process does tell is final.

    Args:
        arguments: of mtkd, for each process.
        processes: on this machine.
        nodes: machines that do this together.
        rendezvous: where they meet, ``HOST:PORT``; empty on one machine.
        restarts: how often to start again.
        run: what the machines call it, all the same.
        again: how the user goes on with it.
        say: told of each new start.

    Raises:
        Interrupted: a signal came, here or to a process; the processes have stopped.
        KeyboardInterrupt: a second signal came; the processes end because this one does.
        EngineError: the processes are lost once more than ``restarts``, or the machines do not meet.
    """
    lost = ""
    for attempt in range(restarts + 1):
        if attempt:
            say(f"{lost}; starting again from the last checkpoint ({attempt} of {restarts})")
        with TemporaryDirectory() as folder:
            failure = Path(folder) / "failure"
            told = {first_failure.FILE: str(failure), ATTEMPT: str(attempt), PARENT: str(os.getpid())}
            config = _config(processes, nodes, rendezvous, f"{run}-{attempt}", folder)
            try:
                with _environment(told):
                    lost = _lost(arguments, config, first_failure.mark_of(failure))
            except (SignalException, KeyboardInterrupt) as stop:
                if not first_failure.code_in(failure):
                    at_once = isinstance(stop, KeyboardInterrupt) and not isinstance(stop, Interrupted)
                    raise (KeyboardInterrupt if at_once else Interrupted)(again) from stop
            code = first_failure.code_in(failure)
            if code or not lost:
                return code
    raise EngineError(
        lost,
        where=f"{processes} processes on this machine, started {restarts + 1} times",
        hint=f"was there too little memory? {again}",
    )


def _lost(arguments: Sequence[str], config: LaunchConfig, started: Path) -> str:
    """Run the processes of one attempt; return what was lost, or nothing if all are done.

    The machine where they meet may be between two attempts: then there is nobody to meet for a moment.
    """
    ends = time.monotonic() + MEET_SECONDS
    while True:
        try:
            elastic_launch(config, sys.executable)("-m", "mtkd_cli", *arguments)
            return ""
        except ChildFailedError as error:
            number, failure = error.get_first_failure()
            if failure.exitcode == StoppedError.exit_code:
                raise Interrupted from error
            how = f"signal {-failure.exitcode}" if failure.exitcode < 0 else f"exit code {failure.exitcode}"
            return f"process {number} ended with {how}"
        except RendezvousError as error:
            if started.exists():
                return "the machine where all met is gone"
            if time.monotonic() > ends:
                raise EngineError(
                    f"the machines do not meet: {first_line(error)}",
                    where=f"--rendezvous {config.rdzv_endpoint}",
                    hint="run the same command on every machine; can they reach that host and port?",
                ) from error
        time.sleep(AGAIN_SECONDS)


def _config(processes: int, nodes: int, rendezvous: str, run_id: str, folder: str) -> LaunchConfig:
    """Return what the launcher is told. SIGINT and SIGTERM are left to `mtkd_cli.distributed.signals`.

    Before torch had these two keys, its launcher took all signals itself, and waited 30 s after one.
    """
    wanted: dict[str, Any] = {"signals_to_handle": "SIGQUIT", "shutdown_timeout": STOP_SECONDS}
    there = {field.name for field in dataclasses.fields(LaunchConfig)}
    return LaunchConfig(
        min_nodes=nodes,
        max_nodes=nodes,
        nproc_per_node=processes,
        run_id=run_id,
        rdzv_backend="c10d",
        rdzv_endpoint=rendezvous or "localhost:0",
        rdzv_configs={"timeout": MEET_SECONDS},
        local_addr=None if rendezvous else "localhost",
        max_restarts=0,
        logs_specs=DefaultLogsSpecs(folder),
        **{key: value for key, value in wanted.items() if key in there},
    )


@contextmanager
def _environment(told: Mapping[str, str]) -> Iterator[None]:
    """Within, what is started is told this; this process itself is no worker."""
    os.environ |= told
    try:
        yield
    finally:
        for name in told:
            del os.environ[name]
