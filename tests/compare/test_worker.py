"""What a worker process does with a job."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mtkd_cli.compare.grid import Cell
from mtkd_cli.compare.job import Job, Setup, job_from_dict
from mtkd_cli.compare.worker import do
from mtkd_cli.distributed.threads import Threads
from mtkd_cli.errors import PluginError, error_from_dict
from mtkd_cli.runs import pipeline
from mtkd_cli.runs.baseline_choice import BaselineChoice

SETUP = Setup("digits", "digits", "cpu", Threads(1), frozenset({Path("/a/model.pt")}), True)
SMALL = ("data.labels=60", "train.epochs=1", "train.lr=0.01", "student=mlp:8")
TEACHERS = "teachers=[{model: 'mlp:4', fit: {labels: student, epochs: 1}}]"
CELL = Cell(
    (("strategy", "mean"),), (("train.seed", "0"),), (*SMALL, TEACHERS, "strategy=mean", "train.seed=0")
)
JOB = Job(SETUP, CELL, BaselineChoice.NONE, live=True)


def test_a_job_survives_json() -> None:
    for job in (JOB, replace(JOB, run="mine", shown_remarks=("a", "b"), live=False)):
        assert job_from_dict(json.loads(json.dumps(job.as_dict()))) == job


def test_a_job_trains_its_cell_and_tells_how_far_it_is() -> None:
    told: list[dict[str, Any]] = []
    job = replace(JOB, setup=replace(SETUP, trusted=frozenset()))
    last = do(job, told.append)
    assert (last["end"], last["fresh"]) == ("done", True)
    assert (Path("runs") / last["run"] / "student.safetensors").is_file()
    assert any(message.get("line", "").startswith("phase 1 of 4: fit mlp-4: done") for message in told)
    shares = [
        message["display"][1] for message in told if message.get("display", [""])[0].endswith("distill")
    ]
    assert shares[0] == 0
    assert shares[-1] > 0
    remarks = [message["line"] for message in told if "phases:" in message.get("line", "")]
    again = do(replace(job, shown_remarks=tuple(last["shown"])), told.append)
    assert again == {**last, "fresh": False}
    assert len(remarks) == 1


@pytest.mark.parametrize("raised", [PluginError("broken", "here", "fix it"), KeyError("x"), MemoryError()])
def test_a_job_that_fails_says_why(raised: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*rest: Any) -> None:
        raise raised

    monkeypatch.setattr(pipeline, "distill", fail)
    last = json.loads(json.dumps(do(JOB, lambda message: None)))
    if isinstance(raised, KeyError):
        assert last["end"] == "crashed"
        assert last["what"] == "KeyError: 'x'"
        assert "in fail" in last["trace"]
        return
    error = error_from_dict(last["error"])
    assert last["end"] == "failed"
    assert error.code == ("memory" if isinstance(raised, MemoryError) else "plugin")
    if isinstance(raised, PluginError):
        assert str(error) == str(raised)
