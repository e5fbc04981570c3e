"""A worker process of `mtkd_cli.compare.parallel`: do jobs that come as lines of JSON on stdin."""

from __future__ import annotations

import json
import os
import sys
import traceback
from collections.abc import Callable
from typing import Any, TextIO

import torch

from mtkd_cli.compare.job import Job, job_from_dict
from mtkd_cli.compare.runner import train_cell
from mtkd_cli.compare.seeds import run_seed
from mtkd_cli.distributed import signals
from mtkd_cli.distributed.parent_watch import end_with_parent
from mtkd_cli.errors import MtkdError, StoppedError, type_and_first_line
from mtkd_cli.runs import pipeline
from mtkd_cli.training.events import RunListener
from mtkd_cli.training.out_of_memory import memory_error
from mtkd_cli.training.progress import Progress
from mtkd_cli.training.progress_bar import PhaseDisplay

Send = Callable[[dict[str, Any]], None]


def main() -> None:
    """Do one job after another, until stdin ends or a signal comes."""
    end_with_parent()
    send = _Messages(os.fdopen(os.dup(1), "w"))
    os.dup2(2, 1)  # so that whatever prints does not disturb the messages
    try:
        with signals.handle():
            for line in sys.stdin:
                send(do(job_from_dict(json.loads(line)), send))
    except KeyboardInterrupt:
        raise SystemExit(StoppedError.exit_code) from None


def do(job: Job, send: Send) -> dict[str, Any]:
    """Do a job; return the last message about it: what the run is called, or why it failed.

    Args:
        job: the job.
        send: receives messages with a ``line`` to show, or with the state of the ``display``.
    """
    shown = set(job.shown_remarks)
    progress = Progress(None, [_Lines(send)], shown, _Screen(send) if job.live else None)
    try:
        torch.set_num_threads(job.setup.threads.limit)
        parts = job.setup.parts(job.cell.overrides)
        context = pipeline.prepare(parts, job.setup.device, progress, job.setup.threads)
        if job.run:
            run_seed(context, job.run, job.baseline)
            name, fresh = job.run, True
        else:
            trained, fresh = train_cell(context, job.setup.name, job.cell, job.baseline)
            name = trained.run
        return {"end": "done", "run": name, "fresh": fresh, "shown": sorted(shown)}
    except MtkdError as error:
        return {"end": "failed", "error": error.as_dict()}
    except Exception as error:
        if full := memory_error(error, "", "use a smaller batch, smaller models, or a smaller --jobs"):
            return {"end": "failed", "error": full.as_dict()}
        return {"end": "crashed", "what": type_and_first_line(error), "trace": traceback.format_exc()}


class _Messages:
    """Writes messages, one a line."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def __call__(self, message: dict[str, Any]) -> None:
        self._stream.write(json.dumps(message) + "\n")
        self._stream.flush()


class _Lines(RunListener):
    """Sends the lines that are shown."""

    def __init__(self, send: Send) -> None:
        self._send = send

    def line_shown(self, line: str) -> None:
        self._send({"line": line})


class _Screen:
    """Sends the state of the phase."""

    def __init__(self, send: Send) -> None:
        self._send = send

    def update(self, display: PhaseDisplay) -> None:
        self._send({"display": [display.title, display.share, display.left, list(display.notes)]})


if __name__ == "__main__":
    main()
