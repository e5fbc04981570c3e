"""A recipe loads everyday checkpoints for teachers and students, and the run says what it chose."""

from __future__ import annotations

import argparse
from typing import Any

import pytest
import torch

from mtkd_cli import api
from mtkd_cli.interfaces import ModelRequest
from mtkd_cli.recipe.load import load
from mtkd_cli.recipe.schema import Teacher
from mtkd_cli.teachers.identity import teacher_identity
from mtkd_teachers.mlp import MlpProvider
from tests.fixtures.command_line import mtkd

RECIPE = ("digits", "data.labels=60", "student=mlp:4", "views=1")
TEACHER = "teachers=[{model: 'mlp:8', checkpoint: w.ckpt}]"


def state(seed: int) -> dict[str, Any]:
    torch.manual_seed(seed)
    return MlpProvider().build(ModelRequest("8", 1, 8, 10, False)).module.state_dict()


def test_the_run_names_the_prefix_that_it_removed() -> None:
    torch.save({"state_dict": {f"model.{n}": t for n, t in state(0).items()}}, "w.ckpt")
    for _ in range(2):  # the second run does not load the teacher
        shown = mtkd("record", *RECIPE, TEACHER)
        assert shown.exit_code == 0, shown.output
        line = "teacher 'mlp-8' (mlp:8), checkpoint w.ckpt: removes the prefix 'model.' from the names"
        assert shown.stderr.replace("\n", " ").count(line) == 1


def test_a_student_starts_from_such_a_file_too() -> None:
    torch.save({"net": {f"module.{n}": t for n, t in state(0).items()}}, "w.ckpt")
    student = "student={model: 'mlp:8', checkpoint: w.ckpt}"
    teacher = "teachers=[{model: 'mlp:4', fit: all}]"
    shown = mtkd("distill", "digits", "data.labels=60", student, teacher, "--dry-run")
    line = "student (mlp:8), checkpoint w.ckpt: removes the prefix 'module.' from the names"
    assert line in shown.stderr.replace("\n", " ")


def test_checkpoint_key_chooses_and_belongs_to_the_teacher() -> None:
    torch.save({"model": state(0), "ema": state(1), "args": argparse.Namespace(lr=1)}, "w.ckpt")
    keys = []
    for key in (None, "ema", "model"):
        teacher = Teacher(model="mlp:8", checkpoint="w.ckpt", checkpoint_key=key)
        part = load("digits", [TEACHER]).teachers[0]
        keys.append(teacher_identity(part, teacher, ("a",)))
    assert keys[0] != keys[1] != keys[2]
    refused = mtkd("record", *RECIPE, TEACHER, "teachers.0.checkpoint_key=gone")
    assert refused.exit_code == 3
    assert "checkpoint_key 'gone' selects no state dict" in refused.stderr


@pytest.mark.parametrize("kept", ["model", "ema"])
def test_the_python_api_takes_the_key(kept: str) -> None:
    torch.save({"model": state(0), "ema": state(1)}, "w.ckpt")
    teacher = {"model": "mlp:8", "checkpoint": "w.ckpt", "checkpoint_key": kept}
    assert api.record("digits", data={"labels": 60}, teachers=[teacher]) == ["mlp-8"]
