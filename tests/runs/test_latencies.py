"""`mtkd evaluate --latency`: student and teachers, measured in the same way."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from mtkd_cli.models import onnx_program
from mtkd_cli.models.latency import BATCHES, measure_pytorch
from mtkd_cli.report.latency import ONNX_RUNTIME, PYTORCH
from mtkd_cli.runs.latencies import measure_model
from tests.fixtures.command_line import Mtkd


def test_student_and_teachers_are_measured_alike(mtkd: Mtkd, run: Path) -> None:
    told = json.loads(mtkd("evaluate", run, "--latency", "--threads", 1, "--json").stdout)
    teachers = json.loads((run / "report.json").read_text())["costs"]["teachers"]
    models = ["student", *(f"teacher {name}" for name in teachers)]
    found = [(row["model"], row["engine"], row["batch"]) for row in told["latency"]]
    assert found == [
        (m, engine, batch) for m in models for engine in (PYTORCH, ONNX_RUNTIME) for batch in BATCHES
    ]
    for row in told["latency"]:
        assert 0 < row["p50_ms"] <= row["p95_ms"]
        assert (row["device"], row["threads"]) == ("cpu", 1)
        assert row["calls"] >= 5
    assert told["latency_notes"] == []
    assert "latency" not in json.loads(mtkd("evaluate", run, "--json").stdout)


def test_calls_of_the_warm_up_are_not_timed() -> None:
    sizes: list[int] = []
    layer = torch.nn.Linear(3, 2)
    layer.register_forward_hook(lambda _, given, __: sizes.append(len(given[0])))
    (found,) = measure_pytorch(layer, np.zeros((4, 3), np.float32), torch.device("cpu"), [32])
    assert set(sizes) == {32}, "samples are repeated to fill the batch"
    assert found.calls < len(sizes)


def test_a_model_that_cannot_be_exported_is_measured_in_pytorch() -> None:
    class Unfit(torch.nn.Module):
        def forward(self, inputs: torch.Tensor) -> torch.Tensor:
            return inputs if inputs.sum().item() > 0 else -inputs

    found = measure_model("student", Unfit(), np.ones((4, 3)), torch.device("cpu"), single=False)
    assert [row.engine for row in found.latencies] == [PYTORCH, PYTORCH]
    assert found.notes[0].startswith("student: not measured in ONNX Runtime")


def test_without_onnxruntime_the_note_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnx_program, "PACKAGES", ("onnx", "no_such_package"))
    found = measure_model("student", torch.nn.Identity(), np.ones((4, 3)), torch.device("cpu"), single=False)
    assert [row.engine for row in found.latencies] == [PYTORCH, PYTORCH]
    assert "no_such_package missing: pip install 'mtkd[onnx]'" in found.notes[0]
