"""``mtkd distill --dry-run``: says what a run would do, and refuses what a run would refuse."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_digits

from tests.fixtures.command_line import mtkd

SMALL = (
    "data.labels=60",
    "teachers=[{model: 'mlp:8', name: t, fit: all}]",
    "fit.epochs=1",
    "student=mlp:4",
    "train={epochs: 1, lr: 0.01, batch_size: 64}",
)
IDS = [f"digits-{number:04d}" for number in range(1797)]
PARTIAL = (
    "teachers=[{model: 'predictions:nine.npz', name: nine, outputs: logits}, "
    "{model: 'mlp:8', name: t, fit: all}]"
)


@pytest.fixture(autouse=True)
def files() -> None:
    """Write predictions without the class 9, and strategies that fail."""
    outputs = np.eye(10)[load_digits().target][:, :9]
    np.savez("nine.npz", ids=IDS, predictions=outputs, classes=list("012345678"))
    Path("broken.py").write_text(
        "import torch\n"
        "class Broken:\n"
        "    'Raises.'\n"
        "    def weights(self, batch):\n"
        "        raise ValueError('no weights')\n"
        "class Negative:\n"
        "    'Returns negative weights.'\n"
        "    def weights(self, batch):\n"
        "        return -torch.ones(len(batch.outputs), len(batch.sample_ids))\n"
        "class Nothing:\n"
        "    'Has no methods.'\n"
    )


def planned(*arguments: str) -> dict[str, Any]:
    done = mtkd("distill", "digits", *SMALL, *arguments, "--dry-run", "--json")
    assert done.exit_code == 0, done.stdout
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def phases(found: dict[str, Any], reused: bool) -> list[str]:
    return [phase["phase"] for phase in found["plan"]["phases"] if phase["reused"] is reused]


@pytest.mark.parametrize(
    ("arguments", "code", "what"),
    [
        ((PARTIAL, "strategy=median"), 2, "know every class"),
        (("strategy={name: route, by: folder, map: {}}",), 2, "no metadata column 'folder'"),
        (("strategy={name: weighted, by: fixed}",), 2, "no teacher has a weight"),
        (("strategy=python:broken.py:Broken",), 1, "no weights"),
        (("strategy=python:broken.py:Negative",), 1, "negative weight"),
        (("strategy=python:broken.py:Nothing",), 1, "has no method"),
        (("loss.features=1", "views=live"), 2, "needs recorded views"),
        ((PARTIAL, "loss.features=1"), 2, "no last layer"),
        (("train.sync_batchnorm=true",), 2, "requires CUDA"),
        (("store={on_nan: drop}", "strategy=median"), 2, "answer every sample"),
        (("--name", "../outside"), 2, "invalid name"),
        (("--name", "taken"), 2, "runs/taken exists"),
        (("--rendezvous", "localhost:1"), 2, "--nodes greater than 1"),
        (("--seeds", "2", "--processes", "2"), 2, "one process"),
    ],
)
def test_refuses_what_a_run_refuses(arguments: tuple[str, ...], code: int, what: str) -> None:
    if "taken" in arguments:
        Path("runs/taken").mkdir(parents=True)
        Path("runs/taken/log.txt").touch()
    command = ("distill", "digits", *SMALL, *arguments, "--no-baseline", "--json")
    dry, real = mtkd(*command, "--dry-run"), mtkd(*command)
    assert (dry.exit_code, real.exit_code) == (code, code)
    error, expected = (json.loads(done.stdout)["error"] for done in (dry, real))
    assert what in error["message"]
    expected["where"] = re.sub(r" at step \d+$", "", expected["where"])
    assert error == expected


def test_refuses_too_many_processes() -> None:
    done = mtkd("distill", "digits", *SMALL, "--processes", "40", "--dry-run", "--device", "cpu")
    assert done.exit_code == 2
    assert "40 processes need at least 80 samples per batch" in done.stderr


def test_refuses_a_changed_recipe_of_a_resumed_run() -> None:
    assert mtkd("distill", "digits", *SMALL, "--no-baseline", "--name", "run").exit_code == 0
    changed = ("distill", "--resume", "run", "train.seed=7", "--json")
    dry, real = mtkd(*changed, "--dry-run"), mtkd(*changed)
    assert (dry.exit_code, dry.stdout) == (real.exit_code, real.stdout)
    assert "recipe.train.seed" in dry.stdout
    assert "nothing to do" in mtkd("distill", "--resume", "run", "--dry-run").stdout
    more = json.loads(mtkd("distill", "--resume", "run", "train.epochs=2", "--dry-run", "--json").stdout)
    assert (more["plan"]["resumes"], more["plan"]["finished"]) == ("run", False)
    assert phases(more, reused=False) == ["distill", "evaluate"]


def test_phases_of_the_plan_are_those_of_the_run() -> None:
    before = planned()
    assert phases(before, reused=True) == []
    assert all(phase["work"] for phase in before["plan"]["phases"])
    assert mtkd("distill", "digits", *SMALL, "--name", "run").exit_code == 0
    log = Path("runs/run/log.txt").read_text()
    done = re.findall(r"phase (\d+) of (\d+): (.+): done in", log)
    expected = phases(before, reused=False)
    assert expected[:3] == ["fit t", "record t", "distill"]
    assert done == [(str(number), str(len(expected)), name) for number, name in enumerate(expected, start=1)]
    assert f"{len(expected)} phases: {', '.join(expected)}" in log

    after = planned()
    kept = ["fit t", "record t", *(name for name in expected if name.startswith("student "))]
    assert phases(after, reused=True) == kept
    assert all(phase["seconds"] == 0 for phase in after["plan"]["phases"] if phase["reused"])
    assert (
        mtkd("distill", "digits", *SMALL, "train.seed=1", "--no-baseline", "--name", "again").exit_code == 0
    )
    assert "phase 1 of 2: distill: done in" in Path("runs/again/log.txt").read_text()


def test_recorded_features_are_a_phase() -> None:
    assert "record features of t" in phases(planned("loss.features=1", "views=1"), reused=False)


def test_starts_with_the_plan(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    done = mtkd("distill", "digits", *SMALL, "--dry-run")
    lines = done.stdout.splitlines()
    assert lines[0].strip() == "plan"
    assert lines[1].split() == ["phase", "work", "about"]
    assert "null" not in done.stdout
    assert max(map(len, lines)) <= 80
    assert not Path("runs").exists()
    full = mtkd("distill", "digits", *SMALL, "--dry-run", "--full").stdout
    assert full.startswith("plan")
    assert "optimizer: adamw" in full
    assert mtkd("distill", "digits", "--full").exit_code == 2


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        (20, "labels: val has \\d labeled samples: the choice of learning rate"),
        (20, "labels: val has no sample of "),
        (400, "teacher random: "),
    ],
)
def test_includes_the_cheap_checks_of_the_doctor(labels: int, expected: str) -> None:
    answers = np.random.default_rng(0).random((1797, 10))
    np.savez("random.npz", ids=IDS, predictions=answers)
    command = ("digits", *SMALL, PARTIAL.replace("nine", "random"), f"data.labels={labels}", "--json")
    checks = json.loads(mtkd("distill", *command, "--dry-run").stdout)["checks"]
    warned = {(row["check"], row["found"]) for row in checks if row["status"] == "warn"}
    assert any(re.match(expected, f"{check}: {found}") for check, found in warned), warned
    rows = json.loads(mtkd("doctor", *command).stdout)["findings"]
    assert warned <= {(row["check"], row["found"]) for row in rows}


def test_doctor_tries_the_strategy() -> None:
    done = mtkd("doctor", "digits", *SMALL, PARTIAL, "strategy=median", "--json")
    rows = {row["check"]: row for row in json.loads(done.stdout)["findings"]}
    assert rows["strategy"]["status"] == "fail"
    assert "know every class" in rows["strategy"]["found"]
