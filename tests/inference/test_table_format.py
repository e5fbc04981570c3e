"""A student reads tables as those that it was trained on; what a new file says itself comes first."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import numpy as np
import pytest

from mtkd_cli.inference.student import load_student
from mtkd_cli.interfaces import TableFormat
from tests.fixtures.command_line import mtkd
from tests.fixtures.small_runs import Distill

RECIPE = """
task: regression
data: {name: table, path: t.csv, target: preis, encoding: cp1252, missing: [k.A.]}
teachers: [{model: 'mlp:4', fit: all}]
fit: {epochs: 1}
student: mlp:4
train: {epochs: 1, lr: 1e-2}
"""


def comma(value: float) -> str:
    return f"{value:,.2f}".translate(str.maketrans(",.", ".,"))


@pytest.fixture
def run(distill: Distill) -> str:
    draws = np.random.default_rng(0)
    rows = [
        (comma(area), town, comma(area / 1000))
        for area, town in zip(draws.uniform(0, 5000, 60).round(2), ["Chur", "Zürich"] * 30, strict=True)
    ]
    lines = ["Fläche;Ort;preis", *map(";".join, rows), "k.A.;Chur;k.A."]
    Path("t.csv").write_text("\n".join(lines), encoding="cp1252")
    Path("r.yaml").write_text(RECIPE)
    distill(name="run", recipe="r.yaml")
    return "run"


def predict(run: str, text: str, encoding: str = "utf-8") -> list[str]:
    Path("new.csv").write_text(text, encoding=encoding)
    result = mtkd("predict", run, "new.csv")
    assert result.exit_code == 0, result.stderr
    return [row["preis"] for row in csv.DictReader(io.StringIO(result.stdout))]


def test_predict_reads_like_training(run: str) -> None:
    assert load_student(run).table_format == TableFormat(";", ",", None, ("k.A.",), "cp1252")
    clear = predict(run, "Fläche;Ort\n1234,5;Zürich\n1.234,0;Zürich\n", "cp1252")
    assert predict(run, "Fläche;Ort\n1.234;Zürich\n", "cp1252") == clear[1:], "1.234 is 1234 here"
    assert predict(run, "Fläche;Ort\n1.234;Zürich\n", "utf-8") == clear[1:]
    assert predict(run, "Ort,Fläche\nZürich,1234.5\n") == clear[:1], "another program wrote this one"
    assert len(predict(run, "Fläche;Ort\nk.A.;Chur\n")) == 1


def test_evaluate_reads_like_training(run: str) -> None:
    lines = ["Fläche;Ort;preis", *(f"{n}.234;Zürich;{n}.000" for n in range(1, 9))]
    Path("new.csv").write_text("\n".join(lines), encoding="cp1252")
    result = mtkd("evaluate", run, "data.path=new.csv", "--split", "train", "--json")
    assert result.exit_code == 0, result.stderr
    assert json.loads(result.stdout)["scores"]["rmse"] > 100, "prices are thousands"


def test_plan_and_doctor_say_how_the_table_was_read(run: str) -> None:
    line = "cells are separated by ';'; numbers have decimal commas; thousands are separated by '.'"
    planned = json.loads(mtkd("distill", "r.yaml", "--dry-run", "--json").stdout)
    assert line in planned["plan"]["data"]["notes"][0]
    assert "decimal commas" in mtkd("distill", "r.yaml", "--dry-run").stdout
    findings = json.loads(mtkd("doctor", "r.yaml", "--json").stdout)["findings"]
    assert any(row["check"] == "data" and line in row["found"] for row in findings)


def test_older_students_have_no_format(run: str) -> None:
    student = load_student(run)
    assert student.facts["reads"].pop("table")
    assert student.table_format is None
