"""The lock of a run folder: it names its holder, and a killed process releases it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from mtkd_cli.errors import UsageError
from mtkd_cli.runs.folder import Run


def holder(*, stopped: bool = False) -> subprocess.Popen[str]:
    """Start a process that holds the run ``taken``."""
    script = (
        "import sys, time; from pathlib import Path; from mtkd_cli.files import run_lock\n"
        "Path('runs/taken').mkdir(parents=True, exist_ok=True)\n"
        "file = run_lock.take(Path('runs/taken')); print('held', flush=True); time.sleep(600)"
    )
    process = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    if stopped:
        process.send_signal(signal.SIGSTOP)
    return process


@pytest.mark.parametrize("stopped", [False, True])
def test_rejects_run_in_use(stopped: bool) -> None:
    with holder(stopped=stopped) as process:
        try:
            with pytest.raises(UsageError, match=f"in use: process {process.pid} on ") as caught:
                Run("taken", resume=True)
            assert caught.value.exit_code == 2
        finally:
            process.kill()
    Run("taken", resume=True).close()


def test_ignores_lock_of_killed_process() -> None:
    with holder() as process:
        process.kill()
    run = Run("taken")
    with pytest.raises(UsageError, match=f"in use: process {os.getpid()} on "):
        Run("taken")
    run.close()
    Run("taken").close()


def test_reuses_run_killed_before_start() -> None:
    folder = Path("runs/early")
    folder.mkdir(parents=True)
    for name in (".lock", "recipe.yaml", ".manifest.json.ab12", ".student.partial"):
        (folder / name).write_text("cut")
    run = Run("early")
    assert run.begun is None
    assert {path.name for path in folder.iterdir()} == {".lock", "recipe.yaml"}
