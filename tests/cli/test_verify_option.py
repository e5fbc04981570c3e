"""``--verify all`` reads every file of the data again, in each command that loads data."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.fixtures.command_line import mtkd

SOURCE = """
import hashlib
from pathlib import Path
import numpy as np
from mtkd_cli.interfaces import Samples, SourceData

FIELDS = np.dtype([("sha256", np.uint8, 32), ("first", np.int64)])

def describe(content):
    with open("reads", "a") as log:
        log.write(".")
    return hashlib.sha256(content).digest(), content[0]

class Files:
    def load(self, cache):
        paths = sorted(Path("files").iterdir())
        firsts = cache.describe_files(paths, describe, FIELDS, "1")["first"]
        images = np.zeros((len(paths), 1, 8, 8), np.uint8)
        images[:, 0, 0, 0] = firsts
        return SourceData(("even", "odd"), Samples(tuple(path.name for path in paths), images, firsts % 2))
"""

RECIPE = """
task: classification
data: python:source.py:Files
teachers: [{model: 'mlp:4', name: t, fit: {epochs: 1}}]
strategy: mean
student: mlp:4
train: {epochs: 1, lr: 0.01}
views: 1
augment: {}
"""

COUNT = 90


@pytest.fixture(autouse=True)
def _files() -> None:
    Path("source.py").write_text(SOURCE)
    Path("recipe.yaml").write_text(RECIPE)
    Path("files").mkdir()
    for number in range(COUNT):
        Path(f"files/{number:03}").write_bytes(bytes([number]))


def reads(*command: str) -> int:
    """Return how many files a command reads."""
    log = Path("reads")
    log.unlink(missing_ok=True)
    result = mtkd(*command, "--threads", "1")
    assert result.exit_code == 0, result.stderr
    return len(log.read_text())


def test_recipe_commands_read_a_sample_or_all() -> None:
    recipe = ("recipe.yaml", "--json")
    assert reads("record", *recipe) == COUNT
    for command in ("record", "audit"):
        assert reads(command, *recipe) == 64
        assert reads(command, *recipe, "--verify", "all") == COUNT


def test_run_and_its_evaluation_read_a_sample_or_all() -> None:
    assert reads("distill", "recipe.yaml", "--name", "a", "--no-baseline", "--verify", "all") == COUNT
    assert reads("distill", "recipe.yaml", "--name", "b", "--no-baseline", "--verify", "all") == COUNT
    assert reads("evaluate", "runs/a", "--trust-code") == 64
    assert reads("evaluate", "runs/a", "--trust-code", "--verify", "all") == COUNT


def test_comparison_reads_all_once_for_all_students() -> None:
    reads("record", "recipe.yaml")
    grid = ("compare", "recipe.yaml", "strategy=mean,confidence", "--no-baseline", "--no-best-teacher")
    # each student's recipe is read twice: to choose how many are trained at a time, and to train it
    assert reads(*grid, "--verify", "all") == COUNT + 3 * 64
    assert reads(*grid) == 4 * 64


def test_says_what_was_read() -> None:
    mtkd("record", "recipe.yaml")
    (Path("files") / "new").write_bytes(b"n")
    result = mtkd("record", "recipe.yaml", "--json")
    assert f"{COUNT + 1} files in files/: 1 new or changed, 64 others read again" in result.stderr
    assert json.loads(result.stdout)["teachers"]
    result = mtkd("record", "recipe.yaml", "--verify", "all")
    assert f"0 new or changed, {COUNT + 1} others read again" in result.stderr


def test_needs_data() -> None:
    assert mtkd("record", "recipe.yaml", "--verify", "some").exit_code == 2
    result = mtkd("compare", "runs/a", "runs/b", "--verify", "all")
    assert result.exit_code == 2
    assert "--verify needs a recipe" in result.stderr
