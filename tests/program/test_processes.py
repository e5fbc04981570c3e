"""Runs in several processes: `--processes`, torchrun and Slurm, with crashes and signals."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from mtkd_cli.cli import app as application
from mtkd_cli.cli.process_options import is_worker
from mtkd_cli.distributed import launcher as process_launcher
from mtkd_cli.distributed.signals import Interrupted
from mtkd_cli.errors import EngineError
from mtkd_cli.files import checksummed_json
from mtkd_cli.safe_loading import weights
from mtkd_cli.training.loop import Losses, Step
from mtkd_cli.training.process_changes import last_process_count
from mtkd_cli.training.progress import Progress
from tests.program.kill_harness import start, wait
from tests.program.kill_several import runs
from tests.program.several import environment, free_port

ROOT = Path(__file__).parents[2]
PLAIN = (
    "digits",
    "data.labels=60",
    "fit={epochs: 2, labels: all}",
    "teachers=[{model: 'mlp:8', fit: all}, {model: 'mlp:16', fit: head, pretrained: true}]",
    "train={epochs: 2, batch_size: 256, lr: 0.01}",
    "student=mlp:8",
    "views=2",
)
"""Without BatchNorm and dropout: there, several processes come to what one comes to."""


def mtkd(*arguments: str, folder: Path) -> subprocess.Popen[str]:
    told = {name: value for name, value in os.environ.items() if not name.startswith("MTKD_")}
    return subprocess.Popen(
        [sys.executable, "-m", "mtkd_cli", *arguments],
        cwd=folder,
        env={**told, "MTKD_STORE": str(folder / "store"), "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def as_torchrun(
    folder: Path,
    arguments: tuple[str, ...],
    processes: int,
    more: Callable[[], object] = lambda: None,
) -> list[int]:
    """Let several processes do a command, told who they are as torchrun tells; return their exit codes."""
    port = free_port()
    told = [environment(rank, processes, port) for rank in range(processes)]

    def telling(each: dict[str, str]) -> Any:
        def prepare() -> None:
            os.environ |= each
            sys.stdout, sys.stderr = (os.fdopen(number, "w") for number in (1, 2))  # not those of pytest
            more()

        return prepare

    return [wait(number) for number in [start(folder, arguments, telling(each)) for each in told]]


def _rows(scores: dict[str, Any]) -> list[dict[str, float]]:
    return [scores["student"], *scores["baselines"].values(), scores["ensemble"]]


def test_two_processes_match_one(tmp_path: Path) -> None:
    found = []
    for processes in (1, 2):
        folder = tmp_path / str(processes)
        folder.mkdir()
        command = ("distill", *PLAIN, "--name", "run", "--threads", "1")
        assert as_torchrun(folder, command, processes) == [0] * processes, (folder / "output.txt").read_text()
        report = json.loads((folder / "runs/run/report.json").read_text())
        manifest = json.loads((folder / "runs/run/manifest.json").read_text())
        student, _ = weights.read(folder / "runs/run/student.safetensors")
        recorded = {path.parent.name: np.load(path) for path in folder.glob("store/outputs/*/outputs.npy")}
        found.append((report, manifest["engine"].get("processes"), student, recorded))
    (one, alone, student, outputs), (two, processes, other, shared) = found
    assert (alone, processes) == (None, 2)
    assert [report["repeat"].partition(" --processes ")[2] for report in (one, two)] == ["", "2"]
    for name, weight in student.items():
        np.testing.assert_allclose(other[name], weight, atol=1e-3)
    for row, single in zip(*(_rows(report["scores"]) for report in (two, one)), strict=True):
        assert row["nll"] == pytest.approx(single["nll"], abs=1e-3)
    assert len(shared) == len(outputs) == 8
    assert sorted(a.shape for a in shared.values()) == sorted(a.shape for a in outputs.values())


def stop_after(step: int, of_student: bool) -> Callable[[], None]:
    """Return what lets a process get a signal after a step of the student, or of a fitted teacher."""

    def prepare() -> None:
        on_step = Progress.on_step

        def watched(progress: Progress, done: Step, losses: Losses) -> None:
            on_step(progress, done, losses)
            if (losses.kd is not None) == of_student and done.number + 1 == step:
                os.kill(os.getpid(), signal.SIGTERM)

        Progress.on_step = watched  # type: ignore[method-assign]

    return prepare


@pytest.mark.parametrize(("began", "then", "before_fits"), [(2, 1, False), (1, 2, True)])
def test_goes_on_in_another_number_of_processes(
    began: int, then: int, before_fits: bool, tmp_path: Path
) -> None:
    """To the same student up to rounding; teachers that were fitted before are used again."""
    command = ("distill", *PLAIN, "train.batch_size=64", "--name", "run", "--threads", "1")
    (tmp_path / "whole").mkdir()
    assert as_torchrun(tmp_path / "whole", command, began) == [0] * began
    folder = tmp_path / "changed"
    folder.mkdir()
    stop = stop_after(1, of_student=False) if before_fits else stop_after(7, of_student=True)
    assert as_torchrun(folder, command, began, stop) == [75] * began
    fitted = sorted(folder.glob("store/fitted/*/teacher.safetensors"))
    assert len(fitted) == (0 if before_fits else 2)
    times = [path.stat().st_mtime_ns for path in fitted]
    resume = ("distill", "--resume", "run", "--processes", str(then))
    planned = as_torchrun(folder, (*resume, "--dry-run"), 1)
    assert planned == [0], (folder / "output.txt").read_text()
    assert as_torchrun(folder, resume, then) == [0] * then, (folder / "output.txt").read_text()
    assert [path.stat().st_mtime_ns for path in fitted] == times
    point = "step 0" if before_fits else "step 8"  # the signal is noticed in the next step
    sentence = (
        f"continued with {then} process{'es' * (then > 1)} instead of {began} from {point}; "
        "results are equal up to rounding, except for BatchNorm and dropout"
    )
    report = json.loads((folder / "runs/run/report.json").read_text())
    assert report["engine"]["processes changed"] == sentence
    assert report["engine"].get("processes", 1) == began
    said = (folder / "output.txt").read_text()
    assert f"processes: {sentence}" in " ".join(said.split())
    for student in ("runs/run/student.safetensors", "store/alone/*/student.safetensors"):
        (path,), (whole,) = folder.glob(student), (tmp_path / "whole").glob(student)
        (weight, _), (expected, _) = weights.read(path), weights.read(whole)
        for name, tensor in expected.items():
            np.testing.assert_allclose(weight[name], tensor, atol=1e-4)
    key = json.loads(next(folder.glob("store/alone/*/key.json")).read_text())
    assert key["run"].startswith("run ")  # no other run finds it
    assert read_process_count_in(folder) == then


def read_process_count_in(folder: Path) -> int:
    return last_process_count(json.loads((folder / "runs/run/manifest.json").read_text()))


def test_reports_first_cause_once(tmp_path: Path) -> None:
    (tmp_path / "odd.py").write_text(
        "import os, torch\n"
        "class Odd(torch.nn.Module):\n"
        "    def forward(self, x):\n"
        "        out = x.flatten(1)[:, :10] * 1.0\n"
        "        return out / 0 if os.environ['RANK'] == '1' and len(x) > 4 else out\n"
        "def build():\n"
        "    return Odd()\n"
    )
    command = (
        "record",
        "digits",
        "teachers=[{model: 'python:odd.py:build', pretrained: true}]",
        "--threads",
        "1",
    )
    codes = as_torchrun(tmp_path, command, 2)
    told = (tmp_path / "output.txt").read_text()
    assert codes[1] == 3
    assert codes[0] in (3, 5)
    assert told.count("returned NaN or infinity") == 1
    assert "Traceback" not in told


@contextlib.contextmanager
def running(*arguments: str, folder: Path) -> Iterator[subprocess.Popen[str]]:
    process = mtkd(*arguments, folder=folder)
    try:
        yield process
    finally:
        if process.poll() is None:
            process.terminate()
            process.communicate()


def children(number: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{number}/task/{number}/children").read_text().split()]


def program(folder: Path, does: str) -> str:
    """Return a program that stands for mtkd in a process."""
    path = folder / "program"
    path.write_text(f"#!/bin/sh\n{does}\n")
    path.chmod(0o755)
    return str(path)


def wait_for(
    folder: Path, pattern: str, count: int = 1, process: subprocess.Popen[str] | None = None
) -> None:
    """Wait for files; a process that ended does not write them."""
    ends = time.monotonic() + 300
    while len(list(folder.glob(pattern))) < count:
        assert time.monotonic() < ends, f"no {pattern}"
        assert process is None or process.poll() is None, process.communicate()
        time.sleep(0.02)


def test_fails_after_last_restart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", program(tmp_path, "kill -9 $$"))
    said: list[str] = []
    with pytest.raises(EngineError, match="ended with signal 9") as caught:
        process_launcher.launch((), 2, 1, "", 1, "run", "Go on", said.append)
    assert caught.value.exit_code == 5
    assert len(said) == 1
    assert "(1 of 1)" in said[0]


def test_does_not_restart_after_signal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", program(tmp_path, "exit 75"))
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    said: list[str] = []
    with pytest.raises(Interrupted, match="Go on"):
        process_launcher.launch((), 2, 1, "", 1, "run", "Go on", said.append)
    assert not said
    assert not list((tmp_path / "temporary").iterdir())


def test_stopped_launcher_names_a_run_only_if_it_began(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", program(tmp_path, "exit 75"))
    command = ("distill", "digits", "--processes", "2", "--name", "run", "--auto-resume")
    stopped = CliRunner().invoke(application.create(), command)
    assert stopped.exit_code == 75
    assert "run the same command again" in stopped.stderr
    Path("runs/run").mkdir(parents=True)
    checksummed_json.write(Path("runs/run/manifest.json"), {"engine": {}})
    assert "mtkd distill --resume run" in CliRunner().invoke(application.create(), command).stderr


def test_second_signal_ends_busy_processes(tmp_path: Path) -> None:
    busy = program(
        tmp_path,
        f'exec {sys.executable} -c "import os, pathlib, signal, time\n'
        "import mtkd_cli.distributed.parent_watch as p\n"
        "told = lambda *_: pathlib.Path(f'told-{os.getpid()}').touch()\n"
        "for number in (signal.SIGINT, signal.SIGTERM): signal.signal(number, told)\n"
        "p.end_with_parent(); pathlib.Path(f'pid-{os.getpid()}').touch(); time.sleep(600)\"",
    )
    code = (
        "import sys; sys.executable = sys.argv[1]\n"
        "from mtkd_cli.distributed import launcher as launch, signals\n"
        "with signals.handle(): launch.launch((), 2, 1, '', 1, 'run', '', print)"
    )
    launcher = subprocess.Popen(
        [sys.executable, "-c", code, busy], cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)}
    )
    wait_for(tmp_path, "pid-*", count=2)
    launcher.send_signal(signal.SIGINT)
    wait_for(tmp_path, "told-*", count=2)
    with pytest.raises(subprocess.TimeoutExpired):
        launcher.wait(1)
    launcher.send_signal(signal.SIGINT)
    launcher.wait(120)
    ends = time.monotonic() + 120
    for found in tmp_path.glob("pid-*"):
        while runs(int(found.name.removeprefix("pid-"))):
            assert time.monotonic() < ends
            time.sleep(0.05)


@pytest.mark.slow
def test_restarts_killed_process_and_stops_on_signal(tmp_path: Path) -> None:
    long = ("train.epochs=4000", "train.batch_size=64", "views=1", "--no-baseline", "--name", "run")
    with running("distill", *PLAIN, *long, "--processes", "2", folder=tmp_path) as process:
        wait_for(tmp_path, "runs/run/checkpoints/*/step-*", process=process)
        (_, victim) = children(process.pid)
        os.kill(victim, signal.SIGKILL)
        wait_for(tmp_path, "runs/run/log.txt")
        while "resuming: distill, step" not in (tmp_path / "runs/run/log.txt").read_text():
            assert process.poll() is None, process.communicate()
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        _, told = process.communicate(timeout=300)
    assert process.returncode == 75, told
    assert "restarting from the last checkpoint (1 of 3)" in told  # whichever's end is seen first
    assert "mtkd distill --resume run" in told
    assert told.count("error:") == 1
    with running("distill", "--resume", "run", "train.seed=1", folder=tmp_path) as process:
        _, told = process.communicate(timeout=300)
    assert process.returncode == 2
    assert "recipe.train.seed: 0 became 1" in told
    assert "processes" not in told  # as many as before were started


@pytest.mark.slow
def test_two_machines_make_one_run(tmp_path: Path) -> None:
    """Both are this machine; each runs the same command, in the same folder."""
    where = ("--nodes", "2", "--processes", "1", "--rendezvous", f"localhost:{free_port()}")
    command = ("distill", *PLAIN, "--no-baseline", "--name", "run", "--json", *where)
    with running(*command, folder=tmp_path) as one, running(*command, folder=tmp_path) as other:
        outputs = [process.communicate(timeout=600) for process in (one, other)]
    assert [one.returncode, other.returncode] == [0, 0], outputs
    (report,) = [json.loads(out) for out, _ in outputs if out]
    assert report["run"] == "run"
    manifest = json.loads((tmp_path / "runs/run/manifest.json").read_text())
    assert manifest["engine"]["processes"] == 2


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--nodes", "2"), "--nodes needs --name"),
        (("--nodes", "2", "--name", "x"), "--nodes needs --rendezvous"),
        (("--rendezvous", "localhost:1", "--name", "x"), "--rendezvous needs --nodes greater than 1"),
    ],
)
def test_rejects_incomplete_node_options(options: tuple[str, ...], said: str) -> None:
    result = CliRunner().invoke(application.create(), ("distill", "digits", *options))
    assert result.exit_code == 2
    assert said in result.stderr


def test_rejects_other_process_count_than_launcher(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "1")
    assert not is_worker()
    monkeypatch.setenv("WORLD_SIZE", "2")
    result = CliRunner().invoke(application.create(), ("distill", "digits", "--processes", "3"))
    assert result.exit_code == 2
    assert "--processes asks for 3 processes, but the launcher started 2" in result.stderr
