"""`mtkd evaluate`: the report's scores again, or those on other data of the same classes."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.stats import binomtest
from sklearn.datasets import load_digits

from mtkd_cli.files import checksummed_json
from tests.fixtures.command_line import Mtkd


@pytest.fixture
def folder(request: pytest.FixtureRequest) -> Path:
    """Some digits as an image folder: folders in another order than the student's classes."""
    digits = load_digits()
    for number in range(400):
        label = digits.target[number]
        if label in (2, 7):
            file = Path(f"images/{label}/{number}.png")
            file.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(np.rint(digits.images[number] * 255 / 16).astype(np.uint8)).save(file)
    return Path("images")


def test_the_report_is_confirmed(mtkd: Mtkd, run: Path) -> None:
    report = json.loads((run / "report.json").read_text())["scores"]["student"]
    shutil.rmtree(run / "checkpoints", ignore_errors=True)
    found = json.loads(mtkd("evaluate", run, "--json").stdout)
    assert found["drawn_anew"] is False
    for name, value in found["scores"].items():
        assert value == pytest.approx(report[name], abs=1e-5)
    right, count = round(found["scores"]["accuracy"] * found["samples"]), found["samples"]
    wilson = binomtest(right, count).proportion_ci(method="wilson")
    assert found["interval"] == pytest.approx([wilson.low, wilson.high], abs=1e-6)
    printed = mtkd("evaluate", run).stdout
    assert "accuracy" in printed
    assert "what a perfectly calibrated model" in " ".join(printed.split())
    assert found["by_chance"]["ece"] > 0


def test_every_metric_but_the_ece_has_an_interval(mtkd: Mtkd, run: Path) -> None:
    found = json.loads(mtkd("evaluate", run, "--json").stdout)
    assert found["intervals"]["accuracy"] == found["interval"]
    low, high = found["intervals"]["nll"]
    assert low < found["scores"]["nll"] < high
    assert found["intervals"]["ece"] == [None, None], "an ECE of few samples is too large on average"


def test_classes_have_their_own_rows(mtkd: Mtkd, run: Path) -> None:
    found = json.loads(mtkd("evaluate", run, "--json").stdout)
    rows = found["classes"]
    assert [row["class"] for row in rows] == [str(digit) for digit in range(10)]
    assert sum(row["labels"] for row in rows) == found["samples"]
    right = sum(row["labels"] * row["recall"] for row in rows)
    assert right / found["samples"] == pytest.approx(found["scores"]["accuracy"])
    printed = mtkd("evaluate", run).stdout
    assert "recall" in printed
    assert "precision" in printed


def test_scores_are_written_to_a_file(mtkd: Mtkd, run: Path) -> None:
    threads = torch.get_num_threads()
    try:
        found = mtkd("evaluate", run, "--json", "--threads", "1", "--output", "new/scores.json")
        assert torch.get_num_threads() == 1
    finally:
        torch.set_num_threads(threads)
    assert json.loads(Path("new/scores.json").read_text()) == json.loads(found.stdout)
    Path("file").write_text("")
    failed = mtkd("evaluate", run, "--output", "file/scores.json")
    assert failed.exit_code == 3
    assert "error: " in failed.stderr


def test_other_data_is_scored_by_class_name(mtkd: Mtkd, run: Path, folder: Path) -> None:
    """The data's first class is the student's third."""
    options = ("data=image-folder", f"data.path={folder}", "data.size=8", "data.channels=1", "data.test=0.5")
    found = json.loads(mtkd("evaluate", run, *options, "--json").stdout)
    answers = json.loads(mtkd("predict", run, folder, "--json").stdout)["predictions"]
    right = np.mean([row["class"] == Path(row["file"]).parent.name for row in answers])
    assert found["scores"]["accuracy"] == pytest.approx(right, abs=0.15)


def test_classes_that_the_student_does_not_know_are_refused(mtkd: Mtkd, run: Path, folder: Path) -> None:
    (folder / "7").rename(folder / "cat")
    result = mtkd("evaluate", run, "data=image-folder", f"data.path={folder}", "data.size=8")
    assert result.exit_code == 3
    assert "'cat'" in result.stderr


@pytest.mark.parametrize("wrong", ["train.epochs=3", "data.color=1", "data=digit", "data.val=2"])
def test_rejects_overrides_other_than_data(mtkd: Mtkd, run: Path, wrong: str) -> None:
    result = mtkd("evaluate", run, wrong)
    assert result.exit_code == 2
    assert "error:" in result.stderr


def test_warns_about_split_with_other_options(mtkd: Mtkd, run: Path) -> None:
    assert "training samples may be in this split" in mtkd("evaluate", run, "data.seed=1").stderr
    assert mtkd("evaluate", run, "--split", "tset").exit_code == 2


def test_data_of_local_code_is_announced_before_it_runs(
    mtkd: Mtkd, run: Path, caplog: pytest.LogCaptureFixture
) -> None:
    Path("mine.py").write_text("import logging\nlogging.getLogger('mtkd').warning('it runs')\n")
    facts = checksummed_json.read(run / "student.json")
    checksummed_json.write(run / "student.json", {**facts, "data": {"name": "python:mine.py:Data"}})
    mtkd("evaluate", run)
    assert not caplog.records  # it is not allowed, so it did not run
    mtkd("evaluate", run, "--trust-code")
    warning, it_runs = [record.getMessage() for record in caplog.records if record.name == "mtkd"]
    assert warning == f"{run} runs Python code: Data of {Path('mine.py').absolute()}"
    assert it_runs == "it runs"
