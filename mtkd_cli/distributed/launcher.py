"""Start a run's processes with torch's elastic launcher; restart them if one dies."""

from __future__ import annotations

import dataclasses
import logging
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs, SignalException
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
from torch.distributed.elastic.rendezvous.api import RendezvousError
from torch.distributed.launcher.api import LaunchConfig, elastic_launch

from mtkd_cli.distributed import first_failure
from mtkd_cli.distributed.parent_watch import PARENT
from mtkd_cli.distributed.signals import Interrupted
from mtkd_cli.errors import EngineError, StoppedError, first_line
from mtkd_cli.files.temporary import temporary_folder
from mtkd_cli.safe_loading.quiet_logs import quiet

ATTEMPT = "MTKD_ATTEMPT"
"""Environment variable with the number of earlier attempts; a process of a later attempt resumes the run."""
RETRY_SECONDS = 1.0
CONNECT_SECONDS = 300
"""Timeout for the machines to connect."""
STOP_SECONDS = 3600
"""Time that processes have to finish after a signal; a second signal ends them immediately."""


@quiet(logging.ERROR)  # the launcher's log would repeat the messages below
def launch(
    arguments: Sequence[str],
    processes: int,
    nodes: int,
    rendezvous: str,
    restarts: int,
    run: str,
    resume_hint: str,
    say: Callable[[str], None],
) -> int:
    """Run mtkd in several processes; return the exit code.

    If a process dies without reporting an error (it was killed, or its machine failed), the others are ended
    and all restart from the last checkpoint. If a process reports an error, there is no restart.

    Args:
        arguments: command-line arguments of mtkd, the same for every process.
        processes: number of processes on this machine.
        nodes: number of machines.
        rendezvous: ``HOST:PORT`` where the machines connect; empty on one machine.
        restarts: maximum number of restarts.
        run: id of the run, the same on all machines.
        resume_hint: how the user resumes the run, for messages.
        say: prints one line at each restart.

    Raises:
        Interrupted: this process or a worker received a signal; the workers have stopped.
        KeyboardInterrupt: a second signal came; the workers end with this process.
        EngineError: a worker died more than ``restarts`` times, or the machines could not connect.
    """
    problem = ""
    for attempt in range(restarts + 1):
        if attempt:
            say(f"{problem}; restarting from the last checkpoint ({attempt} of {restarts})")
        with temporary_folder() as folder:
            failure = folder / "failure"
            variables = {first_failure.FILE: str(failure), ATTEMPT: str(attempt), PARENT: str(os.getpid())}
            config = _config(processes, nodes, rendezvous, f"{run}-{attempt}", str(folder))
            try:
                with _environment(variables):
                    problem = _run_attempt(arguments, config, first_failure.started_file(failure))
            except (SignalException, KeyboardInterrupt) as stop:
                if first_failure.finished_file(failure).exists():
                    return 0
                if not first_failure.read_exit_code(failure):
                    is_second = isinstance(stop, KeyboardInterrupt) and not isinstance(stop, Interrupted)
                    raise (KeyboardInterrupt if is_second else Interrupted)(resume_hint) from stop
            code = first_failure.read_exit_code(failure)
            if code or not problem:
                return code
    raise EngineError(
        problem,
        where=f"{processes} processes on this machine, started {restarts + 1} times",
        hint=f"check whether the machine ran out of memory. {resume_hint}",
    )


def _run_attempt(arguments: Sequence[str], config: LaunchConfig, started: Path) -> str:
    """Run the processes once; return which one died and how, or ``""`` if all finished.

    Connecting is retried, because the rendezvous machine may be between two attempts.
    """
    deadline = time.monotonic() + CONNECT_SECONDS
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
                return "the rendezvous machine is unreachable"
            if time.monotonic() > deadline:
                raise EngineError(
                    f"the machines could not connect: {first_line(error)}",
                    where=f"--rendezvous {config.rdzv_endpoint}",
                    hint="run the same command on every machine; check that all reach this host and port",
                ) from error
        time.sleep(RETRY_SECONDS)


def _config(processes: int, nodes: int, rendezvous: str, run_id: str, folder: str) -> LaunchConfig:
    """Return the launcher's configuration; `mtkd_cli.distributed.signals` handles SIGINT and SIGTERM.

    The signal options are set only if this version of torch has them. Older launchers catch all signals and
    wait 30 s after one.
    """
    signal_options: dict[str, Any] = {"signals_to_handle": "SIGQUIT", "shutdown_timeout": STOP_SECONDS}
    supported = {field.name for field in dataclasses.fields(LaunchConfig)}
    return LaunchConfig(
        min_nodes=nodes,
        max_nodes=nodes,
        nproc_per_node=processes,
        run_id=run_id,
        rdzv_backend="c10d",
        rdzv_endpoint=rendezvous or "localhost:0",
        rdzv_configs={"timeout": CONNECT_SECONDS},
        local_addr=None if rendezvous else "localhost",
        max_restarts=0,
        logs_specs=DefaultLogsSpecs(folder),
        **{key: value for key, value in signal_options.items() if key in supported},
    )


@contextmanager
def _environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Set environment variables within the block, for the processes that are started in it."""
    os.environ |= variables
    try:
        yield
    finally:
        for name in variables:
            del os.environ[name]
