"""``mtkd samples`` lists id, file, split and label of each sample."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from mtkd_cli.recipe.load import load
from mtkd_cli.runs.pipeline import load_data
from tests.fixtures.command_line import mtkd

FOLDER = ("digits", "data={name: image-folder, path: photos, size: 8}")


def photos(*names: str) -> None:
    for name in names:
        Path("photos", name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(Path("photos", name))


def listed(*arguments: str) -> list[dict[str, Any]]:
    shown = mtkd("samples", *arguments, "--json")
    assert shown.exit_code == 0, shown.output
    found: list[dict[str, Any]] = json.loads(shown.stdout)["samples"]
    return found


def test_lists_the_splits_of_the_run_with_their_files_and_labels() -> None:
    photos(*(f"{kind}/{number}.png" for kind in ("cat", "dog") for number in range(20)))
    found = listed(*FOLDER)
    data, _ = load_data(load(FOLDER[0], FOLDER[1:]))
    assert [(row["split"], row["id"]) for row in found] == [
        (split.name, name) for split in data.splits for name in split.samples.ids
    ]
    assert all(row["path"] == f"photos/{row['id']}" for row in found)
    assert all(row["label"] == [row["id"].partition("/")[0]] for row in found)


def test_hidden_labels_and_missing_files_are_empty() -> None:
    found = listed("digits", "data.labels=60")
    assert len(found) == 1797
    assert all(row["path"] is None for row in found)
    seen = [row for row in found if row["label"] and row["split"] != "test"]
    assert len(seen) == 60
    only = listed("digits", "data.labels=60", "--split", "val")
    assert only == [row for row in found if row["split"] == "val"]


def test_prints_columns_for_a_pipe() -> None:
    photos(*(f"{kind}/{number}.png" for kind in ("cat", "do\tg") for number in range(10)))
    lines = mtkd("samples", *FOLDER).stdout.splitlines()
    assert lines[0] == "id\tpath\tsplit\tlabel"
    assert len(lines) == 21
    assert all(line.count("\t") == 3 for line in lines)


def test_writes_a_csv_file_that_no_spreadsheet_runs() -> None:
    photos(*(f"{kind}/{number}.png" for kind in ("=cmd()", "a, b") for number in range(10)))
    shown = mtkd("samples", *FOLDER, "--csv", "ids.csv")
    assert shown.stdout == ""
    with Path("ids.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 20
    assert {row["label"] for row in rows} == {"'=cmd()", "a, b"}
    answers = "".join(f'"{row["id"]}",0.25,0.75\n' for row in rows)
    Path("answers.csv").write_text(f'id,=cmd(),"a, b"\n{answers}')
    teacher = "teachers=[{name: api, model: 'predictions:answers.csv', outputs: probabilities}]"
    recorded = mtkd("record", *FOLDER, teacher, "student=mlp:4")
    assert recorded.exit_code == 0, recorded.output


@pytest.mark.parametrize(
    ("arguments", "labels"),
    [
        (("diabetes", "data.labels=null"), None),
        (("digit-scenes-seg", "data.labels=null", "data.scenes=40", "data.test_scenes=10"), {"background"}),
        (("digit-scenes-det", "data.labels=null", "data.scenes=40", "data.test_scenes=10"), {"3"}),
        (
            ("digit-scenes-det", "task=multilabel", "data={name: digit-scenes, scenes: 40, test_scenes: 10}"),
            {"3"},
        ),
    ],
)
def test_labels_of_other_tasks(arguments: tuple[str, ...], labels: set[str] | None) -> None:
    if "task=multilabel" in arguments:
        arguments = (*arguments, "teachers=['mlp:8']", "student=mlp:4")
    found = listed(*arguments)
    if labels is None:
        assert all(float(row["label"][0]) > 0 for row in found)
    else:
        used = {label for row in found for label in row["label"] or ()}
        assert labels <= used <= {"background", *map(str, range(10))}


def test_a_table_and_an_unknown_split() -> None:
    rows = "".join(f"p{number},{number},{'yes' if number % 2 else 'no'}\n" for number in range(30))
    Path("t.csv").write_text(f"name,age,bought\n{rows}")
    table = "data={name: table, path: t.csv, target: [bought], id: name}"
    found = listed("diabetes", "task=classification", table)
    assert {row["id"]: row["label"] for row in found}["p7"] == ["yes"]
    refused = mtkd("samples", "digits", "--split", "tset")
    assert refused.exit_code == 2
    assert "did you mean 'test'" in refused.stderr
