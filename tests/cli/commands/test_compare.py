"""`mtkd compare`."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from mtkd_cli.runs import pipeline
from tests.fixtures.command_line import mtkd

SMALL = (
    "digits",
    "data.labels=60",
    "train.epochs=2",
    "train.lr=0.01",
    "fit.epochs=2",
    "teachers=[{model: 'mlp:32', fit: all}, {model: 'mlp:16', fit: all}]",
    "student=mlp:8",
)


def compare(*more: str, baseline: str = "alone") -> dict[str, Any]:
    result = mtkd("compare", *SMALL, *more, "--baseline", baseline, "--json")
    assert result.exit_code == 0, result.output
    found: dict[str, Any] = json.loads(result.stdout)
    return found


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the runs that are trained."""
    names: list[str] = []
    distill = pipeline.distill

    def noted(context: Any, run: Any, *rest: Any) -> Any:
        names.append(run.folder.name)
        return distill(context, run, *rest)

    monkeypatch.setattr(pipeline, "distill", noted)
    return names


def names(facts: dict[str, Any]) -> list[str]:
    return [row["name"] for row in facts["rows"]]


def scores(facts: dict[str, Any]) -> dict[str, list[float]]:
    return {row["name"]: row["scores"] for row in facts["rows"]}


def test_grid_includes_baselines(trained: list[str]) -> None:
    facts = compare("strategy=mean,confidence", "train.seed=0,1", "fit.labels=all", baseline="all")
    baselines = ["student alone", "student with pseudo-labels", "student with all labels (reference)"]
    assert names(facts) == [*baselines, "mean", "confidence", "best"]
    assert all(len(row["scores"]) == 2 for row in facts["rows"])
    assert len(trained) == 6
    mean = facts["rows"][3]
    assert set(mean["against"]) == {"student alone", "student with pseudo-labels", "best single teacher"}
    for run, score in zip(mean["runs"], mean["scores"], strict=True):
        report = json.loads((Path("runs") / run / "report.json").read_text())
        assert report["scores"]["student"]["accuracy"] == score
    kept = [json.loads(path.read_text()) for path in Path("comparisons").glob("*/comparison.json")]
    assert kept == [facts]


def test_repeats_only_unfinished_cells(trained: list[str]) -> None:
    first = compare("strategy=mean", "train.seed=0,1")
    assert len(trained) == 4
    assert compare("strategy=mean", "train.seed=0,1") == first
    assert len(trained) == 4
    killed = Path("runs") / first["rows"][1]["runs"][1]
    (killed / "report.json").unlink()  # the run counts as unfinished
    assert scores(compare("strategy=mean", "train.seed=0,1")) == scores(first), "the same bits again"
    assert trained[4:] == [killed.name]
    wider = compare("strategy=mean,consensus", "train.seed=0,1")
    assert [name.split("-")[1] for name in trained[5:]] == ["consensus", "consensus"]
    assert names(wider) == ["student alone", "mean", "consensus", "best"]


def test_adding_seeds_is_a_second_look(trained: list[str]) -> None:
    first = compare("strategy=mean", "train.seed=0,1,2", "--no-best-teacher")
    assert names(first) == ["student alone", "mean"]
    assert (first["level"], first["seeds_seen"]) == (0.025, [])
    second = compare("strategy=mean", "train.seed=0,1,2,3,4,5", "--no-best-teacher")
    assert second["level"] == 0.0125
    assert second["seeds_seen"] == first["rows"][1]["seeds"]
    assert len(trained) == 6
    assert compare("strategy=mean", "train.seed=0,1,2", "--no-best-teacher") == first
    result = mtkd("compare", *second["rows"][1]["runs"])
    assert "compared before with 3 seeds: a verdict now needs p below 0.0125" in " ".join(
        result.stdout.split()
    )


def test_shows_size_and_latency_of_different_students() -> None:
    facts = compare("student=mlp:8,mlp:16", "train.seed=0", "--no-best-teacher")
    sizes = [row["costs"]["bytes"] for row in facts["rows"]]
    weights = [64 * hidden + hidden + hidden * 10 + 10 for hidden in (8, 16)]
    assert sizes == [4 * weights[0], 4 * weights[1]] * 2
    assert facts["students_differ"]
    (page,) = Path("comparisons").glob("*/comparison.html")
    assert "accuracy against size" in page.read_text()
    result = mtkd("compare", *SMALL, "student=mlp:8,mlp:16", "train.seed=0", "--no-best-teacher")
    assert "2.4 kB" in result.stdout
    assert "One seed gives no interval; run three." in result.stdout


@pytest.mark.parametrize(("width", "last"), [(40, "mean"), (60, "size"), (200, "seeds")])
def test_columns_that_do_not_fit_are_left_out(width: int, last: str) -> None:
    from mtkd_cli.cli.render.comparison import comparison_table
    from tests.report.conftest import COMPARISON, comparison_result

    facts = comparison_result(COMPARISON)
    found = comparison_table(facts, width)
    assert found.columns[-1].header == last


def test_other_data_or_settings_train_new_students(trained: list[str]) -> None:
    compare("strategy=best", "train.seed=0")
    compare("strategy=best", "train.seed=0", "train.batch_size=32")
    compare("strategy=best", "train.seed=0", "data.labels=50")
    assert len(set(trained)) == len(trained) == 3


def test_reports_failed_cell_and_continues() -> None:
    Path("bad.py").write_text("class Bad:\n    def weights(self, batch):\n        return 1 / 0\n")
    facts = compare("strategy=mean,python:bad.py:Bad", "train.seed=0")
    assert names(facts) == ["student alone", "mean", "best"]
    assert "ZeroDivisionError" in next(iter(facts["failures"].values()))
    result = mtkd("compare", *SMALL, "strategy=best,python:bad.py:Bad", "train.seed=0")
    assert "failed" in result.stderr
    assert "BEAT" in result.stdout or "INCONCLUSIVE" in result.stdout


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("strategy=mean,meen", "train.seed=0"), "did you mean 'mean'?"),
        (("train.epoch=1,2",), "epochs"),
        (("strategy=mean,", "train.seed=0"), "key=value,value"),
        (("train.seed=0", "--tune", "tempratur"), "cannot be tuned"),
        (("train.seed=0", "--name", "../up"), "invalid name '../up'"),
    ],
)
def test_reports_errors_before_training(arguments: Sequence[str], says: str, trained: list[str]) -> None:
    result = mtkd("compare", *SMALL, *arguments)
    assert result.exit_code == 2
    assert says in result.stderr
    assert "Traceback" not in result.stderr
    assert not trained
    assert not Path("comparisons").exists()


def test_compares_finished_runs() -> None:
    for seed in (0, 1):
        for strategy in ("mean", "best"):
            more = (
                f"strategy={strategy}",
                f"train.seed={seed}",
                "--name",
                f"{strategy}-{seed}",
                "--baseline=alone",
            )
            assert mtkd("distill", *SMALL, *more).exit_code == 0
    runs = ["mean-0", "runs/mean-1", "best-0", "best-1"]
    result = mtkd("compare", *runs, "--json")
    facts = json.loads(result.stdout)
    assert names(facts) == ["student alone", "mean", "best"]
    assert facts["rows"][1]["seeds"] == [{"train.seed": "0"}, {"train.seed": "1"}]
    assert "best single teacher" in facts["rows"][1]["against"]
    for wrong, says in ((["mean-0", "nothing"], "no run 'nothing'"), (["mean-0", "mean-0"], "given twice")):
        result = mtkd("compare", *wrong)
        assert result.exit_code == 2
        assert says in result.stderr
    (Path("runs") / "mean-1" / "report.json").unlink()
    assert mtkd("compare", *runs).exit_code == 3
    shutil.rmtree("runs/mean-1")


def test_tunes_each_method_and_resumes(trained: list[str]) -> None:
    arguments = ("strategy=mean", "train.seed=0,1", "--tune", "temperature,kd_ratio", "--trials", "2")
    facts = compare(*arguments)
    assert len(trained) == 2 * 2 + 4
    mean = next(found for found in facts["tuned"] if found["method"]["strategy"] == "mean")
    assert mean["score"] == max(trial["score"] for trial in mean["trials"])
    recipe = (Path("runs") / facts["rows"][1]["runs"][0] / "recipe.yaml").read_text()
    assert f"temperature: {float(mean['settings']['loss.temperature'])}" in recipe
    assert compare(*arguments) == facts
    assert len(trained) == 2 * 2 + 4


def test_warns_once_about_local_code_before_running_it() -> None:
    Path("mine.py").write_text("raise RuntimeError('it ran')")
    done = mtkd("compare", "digits", "strategy=mean,python:mine.py:Mine", "train.seed=0,1")
    assert done.exit_code == 2
    assert done.stderr.count("this recipe runs local code: python:mine.py:Mine") == 1
    assert not Path("runs").exists()
