"""A result that was changed after it was written is named, shown nowhere and written over nowhere."""

from __future__ import annotations

import hashlib
import json
import math
import shutil
from pathlib import Path
from typing import Any

import pytest

from mtkd_cli.errors import DataError
from mtkd_cli.files import checksummed_json
from mtkd_cli.report import results
from mtkd_cli.report.run_page import run_page
from tests.fixtures.command_line import Mtkd

from .conftest import AUDIT, COMPARISON, EVIL, REPORT, audit_result, comparison_result, run_result


def contents(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def change_one_digit(path: Path) -> None:
    text = path.read_text()
    score = json.loads(text)["scores"]["student"]["accuracy"]
    assert text.count(str(score)) >= 1
    path.write_text(text.replace(str(score), "0.999999"))


def test_report_and_compare_refuse_an_altered_report_and_write_nothing(run: Path, mtkd: Mtkd) -> None:
    other = Path(shutil.copytree(run, "runs/other"))
    change_one_digit(run / "report.json")
    before = contents(run)
    for command in (("report", run), ("report", run, "--json"), ("compare", run, other)):
        result = mtkd(*command)
        assert result.exit_code == 3, result.output
        assert str(run / "report.json") in result.output
        assert "0.999999" not in result.output
    assert contents(run) == before
    assert not Path("comparisons").exists()
    assert mtkd("report", other).exit_code == 0


@pytest.mark.parametrize("name", ["recipe.yaml", "predictions.png"])
def test_what_the_page_shows_besides_the_report_is_checked(run: Path, mtkd: Mtkd, name: str) -> None:
    (run / name).write_bytes((run / name).read_bytes() + b"\n# more\n")
    before = contents(run)
    result = mtkd("report", run)
    assert result.exit_code == 3
    assert name in result.output
    assert contents(run) == before


def test_a_report_without_its_manifest_or_of_an_unfinished_run_is_refused(run: Path, mtkd: Mtkd) -> None:
    facts = checksummed_json.read(run / "manifest.json")
    checksummed_json.write(run / "manifest.json", {k: v for k, v in facts.items() if k != "finished"})
    assert "--resume small" in mtkd("report", run).output
    (run / "manifest.json").unlink()
    result = mtkd("report", run)
    assert result.exit_code == 3
    assert "manifest.json" in result.output


def test_a_run_of_an_mtkd_that_hashed_fewer_files_can_be_read(run: Path, mtkd: Mtkd) -> None:
    facts = checksummed_json.read(run / "manifest.json")
    fewer = {name: facts["finished"][name] for name in ("student.json", "student.safetensors", "report.json")}
    checksummed_json.write(run / "manifest.json", {**facts, "finished": fewer})
    assert mtkd("report", run).exit_code == 0


def test_comparisons_name_methods_by_the_recipe_that_the_manifest_has(run: Path) -> None:
    (run / "recipe.yaml").write_text("strategy: {name: another}\n")
    assert results.read_recipe(run)["strategy"]["name"] == "weighted"


KINDS = {results.REPORT: REPORT, results.AUDIT: AUDIT, results.COMPARISON: COMPARISON}
"""A file of an earlier version, by its name."""


@pytest.mark.parametrize("name", [results.AUDIT, results.COMPARISON])
def test_altered_audits_and_comparisons_are_named_and_older_ones_are_read(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "made"
    folder.mkdir()
    result = results.parsed(KINDS[name], Path(name))
    results.write_alone(folder, result)
    assert results.read(folder) == result
    text = (folder / name).read_text()
    (folder / name).write_text(text + " ")
    with pytest.raises(DataError) as caught:
        results.read(folder)
    assert caught.value.where == str(folder / name)
    (folder / "manifest.json").unlink()  # as an older mtkd left it
    assert results.read(folder) == result


@pytest.mark.parametrize("name", list(KINDS))
def test_what_is_written_is_what_is_read_and_has_a_format(tmp_path: Path, name: str) -> None:
    result = results.parsed(KINDS[name], Path(name))
    results.write(tmp_path, result)
    facts = json.loads((tmp_path / name).read_text())
    assert (next(iter(facts)), facts["format"]) == ("format", results.KINDS[name].format)
    again = results.load(tmp_path / name)
    assert type(again) is type(result)
    assert results.as_json(again) == facts


def test_an_undefined_metric_is_null_in_the_file_and_nan_in_memory(facts: dict[str, Any]) -> None:
    facts["scores"]["student"]["nll"] = None
    result = run_result(facts)
    assert math.isnan(result.scores.student["nll"])
    assert results.as_json(result)["scores"]["student"]["nll"] is None
    assert "undefined" in run_page(result, "", None)


def test_a_report_of_an_earlier_version_has_its_baseline_by_kind(facts: dict[str, Any]) -> None:
    facts["alone"] = {"chosen": {"lr": 0.01}, "trials": [{"lr": 0.01, "accuracy": 0.7}, {"failed": "NaN"}]}
    result = run_result(facts)
    assert result.scores.baselines["alone"]["accuracy"] == 0.7
    assert "latency_ms" not in result.scores.student
    assert result.costs.baselines["alone"].latency_ms == 0.2
    assert result.costs.baselines["alone"].device == "cpu"
    assert result.baselines["alone"].trials[1] == {"failed": "NaN"}
    assert [row["accuracy"] for row in result.baselines["alone"].curve] == [0.4, 0.7]
    assert result.verdict.baseline == "alone"
    facts["scores"]["alone"] = facts["details"]["alone"] = facts["curves"]["alone"] = facts["alone"] = None
    assert run_result(facts).baselines == {}
    assert run_result(facts).verdict.baseline is None


def test_advice_of_format_2_is_read_as_findings() -> None:
    ranked = {"strategies": list(reversed(AUDIT["strategies"])), "best_teacher": "good", "format": 2}
    result = results.parsed(AUDIT | ranked, Path("audit.json"))
    (found,) = result.findings
    assert (found.severity, found.about) == ("note", "strategy")
    assert found.sentence == AUDIT["advice"][0]["sentence"]
    assert [strategy.name for strategy in result.strategies] == ["median", "best", "mean"]


def test_an_audit_of_an_earlier_version_is_ranked() -> None:
    result = audit_result()
    assert [strategy.name for strategy in result.strategies] == ["best", "mean", "median"]
    assert result.best_teacher == "good"


def test_a_comparison_of_an_earlier_version_has_each_verdict_with_its_sentence() -> None:
    result = comparison_result()
    assert result.rows[1].against["student alone"].sentence == f"{EVIL} BEATS the student alone"
    assert result.best == 0, "equal means: the first"
    assert [(found.name, found.tested, dict(found.words)) for found in result.opponents] == [
        ("student alone", 1, {"BEATS": 1})
    ]


@pytest.mark.parametrize("name", list(KINDS))
def test_a_file_of_a_later_version_is_refused(name: str, tmp_path: Path, mtkd: Mtkd) -> None:
    results.write(tmp_path, results.parsed(KINDS[name], Path(name)))
    facts = json.loads((tmp_path / name).read_text()) | {
        "format": results.KINDS[name].format + 1,
        "scores": "something else",
    }
    (tmp_path / name).write_text(json.dumps(facts))
    digest = hashlib.sha256((tmp_path / name).read_bytes()).hexdigest()
    checksummed_json.write(tmp_path / "manifest.json", {"finished": {name: digest}})
    result = mtkd("report", tmp_path)
    assert result.exit_code == 3
    told = " ".join(result.output.split())
    known = results.KINDS[name].format
    assert f"{name} has format {known + 1}; this version of mtkd reads formats up to {known}" in told
    assert "pip install --upgrade mtkd" in told


@pytest.mark.parametrize("damage", [{"scores": 3}, {"format": "new"}, {"format": 2}, {"verdict": {}}])
def test_what_a_report_lacks_is_named(facts: dict[str, Any], damage: dict[str, Any]) -> None:
    with pytest.raises(DataError, match="lacks something") as caught:
        run_result(facts | damage)
    assert caught.value.where == "report.json"
