"""`mtkd search`: reject by measured costs, train rung by rung, run the pick."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from mtkd_cli.errors import TrainingError
from mtkd_cli.models import onnx_program
from mtkd_cli.report import results
from mtkd_cli.search import rungs, successive_halving
from mtkd_cli.search.candidates import Budget, measure_candidate
from mtkd_cli.search.rungs import prepare_taught
from mtkd_cli.search.successive_halving import halve
from mtkd_cli.training.context import Context
from tests.fixtures.command_line import Mtkd
from tests.fixtures.small_runs import Contexts

TEACHER = "teachers=[{model: 'convnet:4-8', name: t, fit: {epochs: 4}}]"
SMALL = ("data.labels=100", "train.epochs=6", "train.batch_size=256", "train.lr=0.1", "views=1", TEACHER)
STUDENTS = ("mlp:2", "mlp:16", "mlp:8", "mlp:300")


@pytest.fixture(autouse=True)
def fast(monkeypatch: pytest.MonkeyPatch) -> None:
    """Measure in PyTorch: an export takes seconds."""
    monkeypatch.setattr(onnx_program, "missing_packages", lambda: ["onnxruntime"])


def search(mtkd: Mtkd, *more: object, students: str = ",".join(STUDENTS)) -> Any:
    return mtkd("search", "digits", *SMALL, "--students", students, "--name", "s", *more)


def told(mtkd: Mtkd, *more: object) -> dict[str, Any]:
    facts: dict[str, Any] = json.loads(search(mtkd, "--json", *more).stdout)
    return facts


def test_the_pick_is_the_best_within_the_budget_and_has_a_run(mtkd: Mtkd) -> None:
    result = search(mtkd, "--size", "10kB", "--latency", "10s")
    assert result.exit_code == 0
    found = results.read(Path("searches/s"))
    rows = {each.student: each for each in found.candidates}
    assert rows["mlp:300"].rejected == "size 90.0 kB > 10.0 kB"
    assert rows["mlp:300"].score is None
    assert {each.rungs for each in found.candidates} == {0, 1, 2}
    assert found.pick.student != "mlp:2", "it has two hidden units"
    assert found.candidates[0].student == found.pick.student
    report = results.read(Path("runs/s"))
    assert report.student.model == found.pick.student
    assert report.scores.student["accuracy"] == found.pick.score
    assert report.costs.student.bytes == rows[found.pick.student].bytes
    assert mtkd("evaluate", "s").exit_code == 0
    assert "mlp:300" in result.stdout
    page = Path("searches/s/search.html")
    page.unlink()
    assert mtkd("report", "searches/s").exit_code == 0
    assert "Rejected before training" in page.read_text()


def test_steps_are_those_that_were_trained(mtkd: Mtkd, monkeypatch: pytest.MonkeyPatch) -> None:
    steps: list[int] = []
    real = rungs.train
    monkeypatch.setattr(rungs, "train", lambda *given: steps.append(given[5]) or real(*given))
    found = told(mtkd, "--size", "10kB")
    run = json.loads(Path("runs/s/report.json").read_text())["student"]["curve"][-1]["step"]
    assert found["steps"] == sum(steps) + run
    assert found["full_steps"] == 3 * run
    assert [rung["students"] for rung in found["rungs"]] == [3, 2]


def test_a_repeated_search_trains_nothing(mtkd: Mtkd, monkeypatch: pytest.MonkeyPatch) -> None:
    first = told(mtkd)
    monkeypatch.setattr(rungs, "train", None)
    assert told(mtkd) == first


def test_a_search_that_was_stopped_ends_as_one_that_was_not(
    mtkd: Mtkd, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, calls = rungs.train, []

    def stopped(*given: Any) -> Any:
        calls.append(given)
        if len(calls) == 4:
            os.kill(os.getpid(), signal.SIGTERM)
        return real(*given)

    with monkeypatch.context() as patch:
        patch.setattr(rungs, "train", stopped)
        assert search(mtkd).exit_code == 75
    resumed = told(mtkd)
    monkeypatch.setenv("MTKD_STORE", str(Path("another-store").absolute()))
    Path("elsewhere").mkdir()
    monkeypatch.chdir("elsewhere")
    whole = told(mtkd)
    for found in (resumed, whole):
        for row in found["candidates"]:
            row.pop("latency_ms"), row.pop("latency_p95_ms"), row.pop("front")
        found.pop("lead")
    assert resumed == whole


def test_a_rung_starts_from_the_student_of_the_rung_before(
    context: Contexts, monkeypatch: pytest.MonkeyPatch
) -> None:
    starts: list[dict[str, torch.Tensor]] = []
    ends: list[dict[str, torch.Tensor]] = []
    real = rungs.train

    def watched(module: torch.nn.Module, *given: Any) -> Any:
        starts.append({name: tensor.clone() for name, tensor in module.state_dict().items()})
        trained = real(module, *given)
        ends.append(trained.selection.chosen.evaluation.module.state_dict())
        return trained

    monkeypatch.setattr(rungs, "train", watched)
    halved = halve(
        ["mlp:2", "mlp:3", "mlp:4"], students_of(context), prepare_taught(context(TEACHER, "student=mlp:2"))
    )
    assert len(starts) == 5
    assert halved.students[-1].rungs == 1
    for start in starts[3:]:
        assert any(same(start, end) for end in ends[:3])
        assert not any(same(start, other) for other in starts[:3])


def same(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> bool:
    return all(
        first[key].shape == second[key].shape and torch.equal(first[key], second[key]) for key in first
    )


def students_of(context: Contexts) -> Callable[[str], Context]:
    return lambda name: context(TEACHER, f"student={name}")


def test_the_choice_does_not_see_the_test_split(context: Contexts) -> None:
    taught = prepare_taught(context(TEACHER, "student=mlp:2"))

    def blind(name: str) -> Context:
        made = context(TEACHER, f"student={name}")
        return dataclasses.replace(made, data=dataclasses.replace(made.data, test=None))

    assert len(halve(["mlp:2", "mlp:4"], blind, taught).students) == 2


def test_a_student_that_fails_is_no_pick(context: Contexts, monkeypatch: pytest.MonkeyPatch) -> None:
    real = rungs._train

    def failing(made: Context, *given: Any) -> Any:
        if made.recipe.student.model == "mlp:4":
            raise TrainingError("the loss is nan")
        return real(made, *given)

    monkeypatch.setattr(rungs, "_train", failing)
    taught = prepare_taught(context(TEACHER, "student=mlp:2"))
    halved = halve(["mlp:4", "mlp:2", "mlp:3"], students_of(context), taught)
    assert halved.students[-1].student == "mlp:4"
    assert halved.students[-1].result.failed == "the loss is nan"
    monkeypatch.setattr(successive_halving, "train_rung", lambda *_: rungs.RungResult((0.0,), failed="all"))
    with pytest.raises(TrainingError, match="all"):
        halve(["mlp:4", "mlp:2"], students_of(context), taught)


def test_nothing_within_the_budget_is_an_error_with_the_nearest(mtkd: Mtkd) -> None:
    result = search(mtkd, "--size", "10B")
    assert result.exit_code == 2
    assert "none of 4 students is within the budget" in result.stderr
    assert "the smallest mlp:2" in result.stderr
    assert not Path("runs/s").exists()


def test_one_student_is_trained_without_rungs(mtkd: Mtkd) -> None:
    found = told(mtkd, "--size", "700B")
    assert (found["pick"]["student"], found["rungs"]) == ("mlp:2", [])
    assert found["steps"] == found["full_steps"]


def test_a_name_belongs_to_one_search(mtkd: Mtkd) -> None:
    assert search(mtkd, "--size", "700B").exit_code == 0
    result = search(mtkd, "--size", "710B")
    assert result.exit_code == 2
    assert "another budget" in result.stderr


@pytest.mark.parametrize(
    "arguments", [("--latency", "2"), ("--size", "x"), ("--students", ""), ("--students", "nothing:4")]
)
def test_invalid_arguments_are_usage_errors(mtkd: Mtkd, arguments: tuple[str, str]) -> None:
    assert mtkd("search", "digits", "--students", "mlp:2", *arguments).exit_code == 2


def test_latencies_are_those_of_onnx_runtime(context: Contexts, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnx_program, "missing_packages", list)
    found = measure_candidate("mlp:2", context(TEACHER, "student=mlp:2"), Budget(latency_ms=1e-6))
    assert found.engine == "ONNX Runtime"
    assert found.rejected.startswith("latency")
    assert (found.parameters, found.bytes) == (64 * 2 + 2 + 2 * 10 + 10, 4 * 160)
