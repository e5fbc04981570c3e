"""Students that are trained at the same time: the bits of one after the other, also after a stop."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from mtkd_cli.errors import StoppedError
from tests.fixtures.command_line import mtkd
from tests.program.small_run import results

SMALL = (
    "digits",
    "data.labels=60",
    "train={epochs: 6, batch_size: 128, lr: [0.01, 0.02]}",
    "fit={labels: student, epochs: 1}",
    "teachers=[{model: 'mlp:8', fit: all}, {model: 'mlp:4', fit: all}]",
    "student=mlp:8",
)
GRID = ("strategy=mean,python:bad.py:Bad", "train.seed=0,1", "--baseline", "alone", "--no-best-teacher")
COMPARE = ("compare", *SMALL, *GRID)
BAD = "class Bad:\n    def weights(self, batch):\n        return 1 / 0\n"


def go_to(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setenv("MTKD_STORE", str(folder / "store"))
    Path("bad.py").write_text(BAD)


def left_by(folder: Path) -> dict[str, Any]:
    """Return what all runs left, without the rows of the fit, which belong to the run that fitted."""
    found = {}
    for run in sorted((folder / "runs").iterdir()):
        found[run.name] = results(run, folder / "store")
        found[run.name]["rows"] = [row for row in found[run.name]["rows"] if row["phase"] != "fit mlp-8"]
        found[run.name]["rows"] = [row for row in found[run.name]["rows"] if row["phase"] != "fit mlp-4"]
    return found


def stop_when_trained() -> tuple[int, str]:
    """Start a comparison, stop it with one signal once a student is trained; return exit code and stderr."""
    command = [sys.executable, "-m", "mtkd_cli", *COMPARE, "--jobs", "2"]
    lines = []
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True) as process:
        assert process.stderr is not None
        for line in process.stderr:
            lines.append(line)
            if line.startswith("[1] phase 1 of"):
                os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to all processes
    return process.returncode, "".join(lines)


def test_two_jobs_give_the_bits_of_one_also_after_a_stop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    go_to(one, monkeypatch)
    first = mtkd(*COMPARE, "--jobs", "1", "--json")
    assert first.exit_code == 0, first.output
    go_to(two, monkeypatch)
    code, errors = stop_when_trained()
    assert code == StoppedError.exit_code, errors
    assert "run the same command again" in errors
    assert "failed" not in errors.replace("[", "")  # a stopped student has not failed
    second = mtkd(*COMPARE, "--jobs", "2", "--json")
    assert second.exit_code == 0, second.output
    assert left_by(one) == left_by(two)
    compared = [json.loads(result.stdout) for result in (first, second)]
    for facts in compared:
        for row in facts["rows"]:
            row.pop("costs")  # latencies
    assert compared[0] == compared[1]
    assert len(compared[1]["failures"]) == 2
    assert "ZeroDivisionError" in next(iter(compared[1]["failures"].values()))
    assert "4 students, 2 at a time" in errors


def test_seeds_in_processes_give_the_bits_of_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for jobs in ("1", "2"):
        go_to(tmp_path / jobs, monkeypatch)
        given = ("--name", "run", "--threads", "1", "--baseline", "alone", "--seeds", "2", "--jobs", jobs)
        done = mtkd("distill", *SMALL, "train.epochs=1", *given)
        assert done.exit_code == 0, done.output
    one, two = (tmp_path / jobs for jobs in ("1", "2"))
    for run in ("run", "run-seed-0", "run-seed-1"):
        assert [
            (one / f"runs/{run}" / name).read_bytes() for name in ("student.safetensors", "recipe.yaml")
        ] == [(two / f"runs/{run}" / name).read_bytes() for name in ("student.safetensors", "recipe.yaml")]
    scores = [json.loads((folder / "runs/run/report.json").read_text()) for folder in (one, two)]
    for key in ("scores", "seeds", "verdict", "student", "repeat"):
        assert scores[0][key] == scores[1][key], key
