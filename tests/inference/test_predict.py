"""`mtkd predict`: every readable file is answered, in order, in a form that other programs read."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from mtkd_cli.inference.coco_boxes import coco
from mtkd_cli.inference.formats import csv_rows, facts_of, safe, write_mask
from mtkd_cli.inference.predict import Answered
from mtkd_cli.inference.student import load_student
from mtkd_cli.interfaces import Prediction
from tests.fixtures.command_line import Mtkd

RNG = np.random.default_rng(0)


def picture(path: str, shape: tuple[int, ...] = (12, 16, 3), **options: object) -> Path:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(RNG.integers(0, 256, shape, dtype=np.uint8)).save(path, **options)
    return Path(path)


def test_the_answers_are_the_students_whatever_the_batch_size(mtkd: Mtkd, run: Path) -> None:
    files = [picture(f"in/{name}.png") for name in "abcde"]
    student = load_student(run)
    expected = student.answer(np.stack([student.read(file) for file in files])).softmax(dim=1)
    for size in ("1", "2", "64"):
        result = mtkd("predict", run, "in", "--batch-size", size)
        rows = list(csv.DictReader(io.StringIO(result.stdout)))
        assert [row["file"] for row in rows] == [str(file) for file in files]
        found = torch.tensor([[float(row[name]) for name in student.classes] for row in rows])
        torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)
        assert [row["class"] for row in rows] == [student.classes[i] for i in expected.argmax(dim=1)]


def test_what_cannot_be_read_is_named_and_the_rest_goes_on(mtkd: Mtkd, run: Path) -> None:
    picture("in/good.png")
    half = picture("in/cut.jpg").read_bytes()
    Path("in/cut.jpg").write_bytes(half[: len(half) // 2])
    Path("in/empty.png").touch()
    Path("in/text.png").write_text("<html>")
    result = mtkd("predict", run, "in", "away.png", "--format", "jsonl")
    assert result.exit_code == 3
    assert [json.loads(line)["file"] for line in result.stdout.splitlines()] == ["in/good.png"]
    for name in ("cut.jpg", "empty.png", "text.png", "away.png", "4 of 5 files"):
        assert name in result.stderr


def test_a_decompression_bomb_is_refused_undecoded(mtkd: Mtkd, run: Path) -> None:
    Image.new("1", (20_000, 20_000)).save("bomb.png")
    result = mtkd("predict", run, "bomb.png")
    assert result.exit_code == 3
    assert "bomb" in result.stderr


@pytest.mark.parametrize("mode", ["CMYK", "P", "I;16", "LA", "1"])
def test_every_kind_of_image_is_answered(mtkd: Mtkd, run: Path, mode: str) -> None:
    name = "x.jpg" if mode == "CMYK" else "x.png"
    if mode == "I;16":
        Image.fromarray(RNG.integers(0, 2**16, (9, 9), dtype=np.uint16)).save(name)
    else:
        Image.fromarray(RNG.integers(0, 256, (9, 9, 3), dtype=np.uint8)).convert(mode).save(name)
    assert mtkd("predict", run, name).exit_code == 0


def test_json_is_one_value_with_what_could_not_be_read(mtkd: Mtkd, run: Path) -> None:
    picture("a.png")
    result = mtkd("predict", run, "a.png", "b.png", "--json")
    told = json.loads(result.stdout)
    assert [row["file"] for row in told["predictions"]] == ["a.png"]
    assert [row["file"] for row in told["unreadable"]] == ["b.png"]


def test_a_file_is_written_whole_and_stdout_stays_empty(mtkd: Mtkd, run: Path) -> None:
    picture("a.png")
    result = mtkd("predict", run, "a.png", "--output", "deep/out.csv")
    assert (result.exit_code, result.stdout) == (0, "")
    assert len(Path("deep/out.csv").read_text().splitlines()) == 2
    assert [path.name for path in Path("deep").iterdir()] == ["out.csv"]


def test_nothing_to_answer_is_an_error(mtkd: Mtkd, run: Path) -> None:
    Path("none").mkdir()
    assert mtkd("predict", run, "none").exit_code == 3
    assert mtkd("predict", "lost", "none").exit_code == 2


@pytest.mark.parametrize("name", ["=cmd()", "+1", "-1", "@x", "\tx"])
def test_no_name_is_a_formula_in_a_spreadsheet(name: str) -> None:
    assert safe(name) == f"'{name}"
    answered = Answered(name, Prediction({"class": name}))
    assert csv_rows(answered, 0) == [[f"'{name}", f"'{name}"]]
    assert safe(-1.5) == -1.5, "a number stays one"


def test_boxes_are_in_pixels_of_the_whole_image() -> None:
    """Corners are relative to the sides of a 200 x 100 image."""
    boxes = (("cat", 0.9, 0.25, 0.0, 0.5, 1.0), ("dog", 0.1, 0.0, 0.0, 1.0, 1.0))
    answered = Answered("a.png", Prediction({}, boxes=boxes), "", (200, 100))
    assert facts_of(answered, 0.3)["boxes"] == [{"class": "cat", "score": 0.9, "box": [50, 0, 100, 100]}]
    told = coco([answered], ("dog", "cat"), 0.3)
    assert told["images"] == [{"id": 1, "file_name": "a.png", "width": 200, "height": 100}]
    (box,) = told["annotations"]
    assert (box["category_id"], box["bbox"], box["area"]) == (2, [50, 0, 50, 100], 5000)
    assert csv_rows(answered, 0.3) == [["a.png", "cat", 0.9, 50, 0, 100, 100]]


def test_a_mask_has_the_size_of_its_image() -> None:
    mask = np.array([[0, 1], [2, 3]], dtype=np.uint8).repeat(2, 0).repeat(4, 1)
    answered = Answered("deep/a.jpg", Prediction({}, mask=mask), "", (8, 4))
    with Image.open(write_mask(mask, answered, Path("masks"))) as picture:
        assert (picture.mode, picture.size) == ("P", (8, 4))
        pixels = np.asarray(picture)
        assert picture.convert("RGB").getpixel((4, 0)) == (128, 0, 0)
    np.testing.assert_array_equal(pixels, mask)
