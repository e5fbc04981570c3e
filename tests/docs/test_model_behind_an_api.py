"""The page about a model behind an API works as it is written: every file and every command in it."""

from __future__ import annotations

import csv
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from mtkd_cli.recipe.load import load
from mtkd_cli.runs import pipeline
from mtkd_cli.teachers.prepare import prepare_teachers
from mtkd_cli.training.progress import Progress
from tests.fixtures.command_line import mtkd

PAGE = (Path(__file__).parents[2] / "docs" / "model-behind-an-api.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)

MY_API = """
import io
import numpy as np
from PIL import Image

def classify(content):
    mean = np.asarray(Image.open(io.BytesIO(content))).mean() / 255
    return {"cat": 1 - mean, "dog": mean}
"""


def draw_photos() -> None:
    """Write dark cats and bright dogs."""
    random = np.random.default_rng(0)
    for name, low in (("cat", 0), ("dog", 128)):
        Path("photos", name).mkdir(parents=True)
        for number in range(30):
            pixels = random.integers(low, low + 128, (32, 32, 3)).astype(np.uint8)
            Image.fromarray(pixels).save(f"photos/{name}/{number}.png")


def write_files() -> None:
    """Write the files that the page shows, each under the name in its first line."""
    for kind, text in BLOCKS:
        if kind:
            Path(text.splitlines()[0].removeprefix("# ")).write_text(text, encoding="utf-8")
    Path("my_api.py").write_text(MY_API)


def run(command: str) -> None:
    program, *arguments = command.split()
    if program == "mtkd":
        done = mtkd(*arguments)
        assert done.exit_code == 0, done.output
        return
    assert program == "python"
    subprocess.run([sys.executable, *arguments], check=True, timeout=120)


def test_every_command_works_and_the_answers_are_the_teacher() -> None:
    draw_photos()
    write_files()
    commands = [line for kind, text in BLOCKS if not kind for line in text.splitlines()]
    assert len(commands) >= 5
    for command in commands:
        run(command)
    assert Path("runs/from-api/report.html").is_file()

    with Path("answers.csv").open(newline="", encoding="utf-8") as file:
        answers = {row["id"]: [float(row["cat"]), float(row["dog"])] for row in csv.DictReader(file)}
    assert len(answers) == 60
    context = pipeline.prepare(load("api.yaml", []), "cpu", Progress())
    recorded = prepare_teachers(context, 1)[0].recorded_outputs("test", 0).softmax(dim=1)
    expected = torch.tensor([answers[name] for name in context.data.test.samples.ids])
    torch.testing.assert_close(recorded, expected, atol=1e-3, rtol=1e-3)


def test_the_script_continues_after_an_interruption() -> None:
    draw_photos()
    write_files()
    run("mtkd samples api.yaml --csv ids.csv")
    run("python ask.py")
    whole = Path("answers.csv").read_text()
    Path("answers.csv").write_text("".join(whole.splitlines(keepends=True)[:20]))
    run("python ask.py")
    assert Path("answers.csv").read_text() == whole
