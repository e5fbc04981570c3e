"""A result that was changed after it was written is named, shown nowhere and written over nowhere."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from mtkd_cli.errors import DataError
from mtkd_cli.files import checksummed_json
from mtkd_cli.report import results
from tests.fixtures.command_line import Mtkd


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


@pytest.mark.parametrize("name", [results.AUDIT, results.COMPARISON])
def test_altered_audits_and_comparisons_are_named_and_older_ones_are_read(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "made"
    folder.mkdir()
    results.write(folder, name, {"value": 0.5})
    assert results.read(folder) == (name, {"value": 0.5})
    (folder / name).write_text('{"value": 0.6}')
    with pytest.raises(DataError) as caught:
        results.read(folder)
    assert caught.value.where == str(folder / name)
    (folder / "manifest.json").unlink()  # as an older mtkd left it
    assert results.read(folder) == (name, {"value": 0.6})
