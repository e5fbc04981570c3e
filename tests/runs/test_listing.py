"""`mtkd list runs`: each run with its state, score and gain, and `mtkd report` by name."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from mtkd_cli.files import run_lock
from mtkd_cli.report import results
from mtkd_cli.report.run_result import Verdict
from mtkd_cli.runs.listing import ListedRun, runs
from tests.fixtures.command_line import Mtkd


def test_a_finished_run_has_score_and_data(run: Path, mtkd: Mtkd) -> None:
    report = json.loads((run / "report.json").read_text())
    (row,) = json.loads(mtkd("list", "runs", "--json").stdout)
    assert (row["name"], row["state"], row["task"], row["data"]) == (
        "small",
        "done",
        "classification",
        "digits",
    )
    assert (row["metric"], row["score"]) == ("accuracy", report["scores"]["student"]["accuracy"])
    assert (row["gain"], row["gain_interval"], row["baseline"]) == (None, None, None)
    assert row["student_bytes"] == report["costs"]["student"]["bytes"]
    assert row["folder_bytes"] == sum(path.stat().st_size for path in run.rglob("*") if path.is_file())
    for columns in ("60", "120"):
        said = " ".join(mtkd("list", "runs", COLUMNS=columns).stdout.split())
        assert "small" in said
        assert "done" in said
        assert "digits" in said


@pytest.mark.parametrize(("higher_is_better", "gain", "low", "high"), [(True, 2, 1, 4), (False, -2, -4, -1)])
def test_more_gain_is_better_for_every_metric(
    run: Path, higher_is_better: bool, gain: float, low: float, high: float
) -> None:
    from dataclasses import replace

    result = results.read_report(run)
    metric = replace(result.metric, higher_is_better=higher_is_better)
    verdict = Verdict("alone", 2.0, (1.0, 4.0), "...")
    row = ListedRun("r", "done", 0.0, "t", "d", 1, replace(result, metric=metric, verdict=verdict))
    assert (row.gain, row.gain_interval) == (gain, (low, high))


def test_state_tells_what_can_be_done(run: Path) -> None:
    stopped, damaged, early = (run.with_name(name) for name in ("stopped", "damaged", "early"))
    for folder in (stopped, damaged):
        shutil.copytree(run, folder)
    manifest = results.checksummed_json.read(run / "manifest.json")
    results.checksummed_json.write(
        stopped / "manifest.json", {key: value for key, value in manifest.items() if key != "finished"}
    )
    (damaged / "report.json").write_text("{}")
    early.mkdir()
    (early / "recipe.yaml").write_text("task: classification\n")
    Path("runs/not-a-run").mkdir()
    found: dict[str, Any] = {each.name: each for each in runs()}
    assert {name: each.state for name, each in found.items()} == {
        "small": "done",
        "stopped": "resumable",
        "damaged": "damaged",
        "early": "resumable",
    }
    assert (found["stopped"].data, found["stopped"].score) == ("digits", None)
    with run_lock.take(stopped):
        assert {each.name for each in runs() if each.state == "running"} == {"stopped"}
    assert {each.name for each in runs() if each.state == "running"} == set()


def test_the_last_changed_run_is_first(run: Path) -> None:
    shutil.copytree(run, run.with_name("older"))
    os.utime("runs/older/manifest.json", (1000, 1000))
    assert [each.name for each in runs()] == ["small", "older"]


def test_no_runs_is_not_an_error(mtkd: Mtkd) -> None:
    done = mtkd("list", "runs")
    assert (done.exit_code, done.stdout) == (0, "")
    assert "mtkd distill RECIPE" in done.stderr


def test_report_takes_a_name_or_a_folder(run: Path, mtkd: Mtkd) -> None:
    for given in ("small", run, f"{run}/"):
        (run / "report.html").unlink()
        assert mtkd("report", given).exit_code == 0
        assert (run / "report.html").is_file()
    Path("small").mkdir()  # not a result
    assert mtkd("report", "small").exit_code == 0
    unknown = mtkd("report", "smal")
    assert (unknown.exit_code, "did you mean 'small'?" in unknown.stderr) == (2, True)


def test_report_refuses_a_name_of_several_results(run: Path, mtkd: Mtkd) -> None:
    Path("audits/small").mkdir(parents=True)
    Path("audits/small/audit.json").write_text("{}")
    done = mtkd("report", "small")
    assert done.exit_code == 2
    assert "write runs/small or audits/small" in done.stderr
