"""Teachers are validated before training, and doubts about them are shown."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_digits
from typer.testing import CliRunner

from mtkd_cli.cli import app
from mtkd_cli.report import results
from mtkd_cli.runs import pipeline
from mtkd_cli.runs.folder import Run
from mtkd_cli.teachers import prepare
from mtkd_cli.training.context import Context
from tests.fixtures.shown_lines import with_shown_lines
from tests.fixtures.small_runs import Contexts

NEAREST = """
import torch
from sklearn.datasets import load_digits
from torch import nn

data = load_digits()
pixels, labels = torch.tensor(data.images / 16, dtype=torch.float32).flatten(1), torch.tensor(data.target)
CENTERS = torch.stack([pixels[labels == digit].mean(0) for digit in range(10)])

class Nearest(nn.Module):
    \"\"\"Logits by distance to the class means, of images from 0 to ``scale``.\"\"\"

    def __init__(self, scale=1.0, flipped=False):
        super().__init__()
        self.centers, self.scale, self.flipped = nn.Parameter(CENTERS.clone()), scale, flipped

    def forward(self, x):
        logits = -2 * ((x.flatten(1)[:, None] / self.scale - self.centers) ** 2).sum(-1)
        return logits.flip(1) if self.flipped else logits

good = Nearest
reversed_classes = lambda: Nearest(flipped=True)
wants_bytes = lambda: Nearest(scale=255.0)
"""
PLAIN = "input: {mean: [0], std: [1]}"
SMALL = ("data.labels=200", "student=mlp:8", "train.epochs=1", "train.lr=0.01")


@pytest.fixture(autouse=True)
def nearest() -> None:
    Path("t.py").write_text(NEAREST)


def recipe(**inputs: str) -> str:
    rows = [
        f"{{name: {name}, model: 'python:t.py:{name}', pretrained: true, {given}}}"
        for name, given in inputs.items()
    ]
    return f"teachers=[{', '.join(rows)}]"


WRONG = recipe(good=PLAIN, reversed_classes=PLAIN, wants_bytes=PLAIN)


def warnings(lines: list[str], name: str) -> str:
    return "\n".join(line for line in lines if line.startswith(f"warning: teacher {name}: "))


def test_warns_of_wrong_classes_and_input_before_recording(
    context: Contexts,
) -> None:
    run = context(WRONG, *SMALL)
    run, lines = with_shown_lines(run)
    ready = prepare.prepare_teachers(run, 1)
    assert not warnings(lines, "good")
    assert "no better than chance" in warnings(lines, "reversed_classes")
    assert 'classes: ["9", "8", "7"' in warnings(lines, "reversed_classes")
    assert "values from 0 to 255 would give accuracy 0.9" in warnings(lines, "wants_bytes")
    assert "input: {range: [0, 255]" in warnings(lines, "wants_bytes")
    first_recording = next(i for i, line in enumerate(lines) if line.startswith("record "))
    assert all(i < first_recording for i, line in enumerate(lines) if line.startswith("warning: "))
    assert [round(t.validation.metrics["accuracy"], 1) if t.validation else None for t in ready[:2]] == [
        0.9,
        0.0,
    ]


def test_repeats_warning_for_recorded_teacher(context: Contexts) -> None:
    prepare.prepare_teachers(context(WRONG, *SMALL), 1)
    run = context(WRONG, *SMALL)
    run, lines = with_shown_lines(run)
    prepare.prepare_teachers(run, 1)
    assert "classes look permuted" in warnings(lines, "reversed_classes")
    assert not warnings(lines, "good")


def test_advice_fixes_teachers(context: Contexts) -> None:
    fixed = recipe(
        reversed_classes=f"{PLAIN}, classes: ['9', '8', '7', '6', '5', '4', '3', '2', '1', '0']",
        wants_bytes="input: {range: [0, 255], mean: [0], std: [1]}",
    )
    run = context(fixed, *SMALL)
    run, lines = with_shown_lines(run)
    for ready in prepare.prepare_teachers(run, 1):
        assert ready.validation is not None
        assert ready.validation.metrics["accuracy"] > 0.85
    assert not [line for line in lines if line.startswith("warning: ")]


def test_plan_doctor_and_report_show_doubts(context: Contexts) -> None:
    runner = CliRunner()
    create = app.create()
    command = ["digits", WRONG, *SMALL]
    plan = runner.invoke(create, ["distill", *command, "--dry-run", "--json"], catch_exceptions=False)
    by_name = {teacher["name"]: teacher for teacher in json.loads(plan.stdout)["plan"]["teachers"]}
    assert by_name["good"]["validation"]["doubts"] == []
    assert by_name["good"]["validation"]["metrics"]["accuracy"] > 0.85
    assert "permuted" in " ".join(by_name["reversed_classes"]["validation"]["doubts"])
    shown = runner.invoke(create, ["distill", *command, "--dry-run"], catch_exceptions=False)
    assert "0 to 255" in " ".join(shown.stdout.split())
    doctor = runner.invoke(create, ["doctor", *command, "--json"], catch_exceptions=False)
    rows = [row for row in json.loads(doctor.stdout)["findings"] if row["status"] == "warn"]
    assert {row["check"] for row in rows} >= {"teacher reversed_classes", "teacher wants_bytes"}
    assert any(row["hint"].startswith("if so, set input: {range: [0, 255]") for row in rows)
    report = results.as_json(pipeline.distill(context(WRONG, *SMALL), Run("run"), False))
    reversed_classes = report["teachers"][1]
    assert "permuted" in " ".join(reversed_classes["warnings"])
    assert reversed_classes["validation"]["metrics"]["accuracy"] < 0.1
    assert "permuted" in Path("runs/run/report.html").read_text()


def test_saw_is_unknown_unless_declared(context: Contexts) -> None:
    for declared, seen in (
        ("", "unknown (trained elsewhere)"),
        (", saw: none", "none of this data's (declared)"),
        (", saw: train", "the training labels (declared)"),
        (", saw: all", "all labels, test included (declared)"),
    ):
        run = context(recipe(good=PLAIN + declared), *SMALL)
        run, lines = with_shown_lines(run)
        report = results.as_json(pipeline.distill(run, Run(f"run-{len(declared)}"), False))
        assert report["teachers"][0]["labels_seen"] == seen
        evidence = "its test score and the ensemble's are not evidence"
        assert (evidence in warnings(lines, "good")) is declared.endswith("all")


def memorizer(run: Context, right_on_test: bool) -> None:
    """Write predictions that are right on all samples, or on train and val only."""
    target = load_digits().target
    answers = np.eye(10)[target] * 0.9 + 0.01
    test = [int(sample[-4:]) for sample in run.data.test.samples.ids]
    if not right_on_test:
        answers[test] = np.random.default_rng(0).permutation(answers[test])
    np.savez("p.npz", ids=[f"digits-{number:04d}" for number in range(len(target))], predictions=answers)


@pytest.mark.parametrize("right_on_test", [True, False])
def test_warns_of_memorized_samples(context: Contexts, right_on_test: bool) -> None:
    file = "teachers=[{name: api, model: 'predictions:p.npz', outputs: probabilities}]"
    Path("p.npz").touch()
    memorizer(context(*SMALL), right_on_test)
    run = context(file, *SMALL)
    run, lines = with_shown_lines(run)
    report: dict[str, Any] = results.as_json(pipeline.distill(run, Run("run"), False))
    is_warned = "accuracy 1 on training and validation labels" in warnings(lines, "api")
    assert is_warned is not right_on_test
    assert bool(report["teachers"][0]["warnings"]) is not right_on_test


def test_unknown_costs_are_not_zero(context: Contexts) -> None:
    Path("p.npz").touch()
    memorizer(context(*SMALL), right_on_test=True)
    api = "{name: api, model: 'predictions:p.npz', outputs: probabilities}"
    file = recipe(good=PLAIN).replace("[{", f"[{api}, {{", 1)
    costs = results.as_json(pipeline.distill(context(file, *SMALL), Run("run"), False))["costs"]
    assert costs["teachers"]["api"]["bytes"] is None
    assert costs["teachers"]["good"]["bytes"] > 0
    assert costs["ensemble"]["bytes"] is None
    assert costs["ensemble"]["parameters"] is None
