"""Several seeds of one recipe: which student is kept, what is claimed, and that it can be resumed."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from scipy import stats
from typer.testing import CliRunner, Result

from mtkd_cli.cli import app
from mtkd_cli.compare import seeds
from mtkd_cli.compare.seeds import median_of, report_over
from mtkd_cli.errors import TrainingError, UsageError
from mtkd_cli.report.run_result import RunResult
from mtkd_cli.runs import pipeline
from tests.fixtures.run_results import run_result
from tests.program.small_run import START

Invoke = Callable[..., Result]


def report(student: float, validation: float, **baselines: float) -> RunResult:
    trial = {"accuracy": validation, "val_loss": 1 - validation}
    made = run_result(student, trials=(trial,))
    scores = {kind.replace("_", "-"): {"accuracy": score} for kind, score in baselines.items()}
    return replace(made, scores=replace(made.scores, baselines=scores))


def test_the_median_on_validation_is_kept_whatever_the_test_scores() -> None:
    reports = [report(0.99, 0.7), report(0.90, 0.8), report(0.95, 0.9)]
    assert median_of(reports) == 1
    assert median_of(reports[1:]) == 0


def test_the_interval_is_students_over_paired_seeds() -> None:
    student, alone = [0.90, 0.93, 0.92], [0.85, 0.86, 0.84]
    reports = [report(s, 0.5, alone=a, all_labels=0.99) for s, a in zip(student, alone, strict=True)]
    found = report_over(reports, [4, 5, 6], ["a", "b", "c"], 1)
    low, high = stats.ttest_rel(student, alone).confidence_interval(0.95)
    against = found.verdict.against["alone"]
    assert against.interval == pytest.approx([low, high])
    assert against.difference == pytest.approx(sum(student) / 3 - sum(alone) / 3)
    sentence = found.verdict.sentence
    assert sentence.startswith(
        "Over 3 seeds, the student is better than the same student alone: accuracy 0.9167"
    )
    assert "95 % interval over 3 seeds" in sentence
    assert "is that of seed 5, the median on validation: accuracy 0.9300" in sentence


def test_two_seeds_claim_nothing() -> None:
    reports = [report(0.9, 0.5, alone=0.5), report(0.91, 0.5, alone=0.5)]
    verdict = report_over(reports, [0, 1], ["a", "b"], 0).verdict
    assert verdict.sentence.startswith("No claim, since 2 seeds give no interval")
    assert verdict.interval is None


def invoke(*arguments: str) -> Result:
    return CliRunner().invoke(app.create(), arguments, catch_exceptions=False)


SEEDS = (*START, "train.epochs=1", "train.lr=0.01", "--baseline", "alone")


def files(run: str) -> dict[str, bytes]:
    return {
        name: (Path("runs") / run / name).read_bytes() for name in ("student.safetensors", "student.json")
    }


def test_a_run_with_several_seeds_is_resumed_where_it_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    real, trained = pipeline.distill, []

    def fail_at_the_second(context: Any, run: Any, baseline: Any) -> Any:
        trained.append(run.folder.name)
        if len(trained) == 2:
            raise TrainingError("the power is gone")
        return real(context, run, baseline)

    monkeypatch.setattr(seeds.pipeline, "distill", fail_at_the_second)
    assert invoke(*SEEDS, "--seeds", "3").exit_code == TrainingError.exit_code
    done = invoke(*SEEDS, "--seeds", "3", "--json")
    assert done.exit_code == 0
    assert trained == ["run-seed-0", "run-seed-1", "run-seed-1", "run-seed-2"]
    found = json.loads(done.stdout)
    assert (found["run"], found["seeds"]["seeds"]) == ("run", [0, 1, 2])
    assert found["repeat"].startswith("mtkd distill runs/run/recipe.yaml")
    assert found["repeat"].endswith("--seeds 3")
    assert files("run") == files(f"run-seed-{found['seeds']['shipped']}")
    assert found == json.loads(Path("runs/run/report.json").read_text())
    page = Path("runs/run/report.html").read_text()
    assert "run-seed-2" in page
    again = invoke("distill", "--resume", "run", "--json")
    assert json.loads(again.stdout) == found
    assert len(trained) == 4
    assert invoke("evaluate", "run").exit_code == 0
    assert invoke("distill", "--resume", "run-seed-0", "--seeds", "3").exit_code == UsageError.exit_code
    plain = invoke(*SEEDS[:2], *SEEDS[2:], "train.seed=1", "--name", "plain")
    assert plain.exit_code == 0
    assert files("plain")["student.safetensors"] == files("run-seed-1")["student.safetensors"]


def test_several_seeds_take_one_process() -> None:
    done = invoke(*SEEDS, "--seeds", "3", "--processes", "2")
    assert done.exit_code == UsageError.exit_code
    assert "--seeds" in done.stderr
