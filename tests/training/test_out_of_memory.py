"""What does not fit into memory is said with what was in it, and what was kept stays."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from mtkd_cli.errors import MemoryFullError
from mtkd_cli.report import results
from mtkd_cli.runs import pipeline
from mtkd_cli.runs.folder import Run
from mtkd_cli.teachers.prepare import prepare_teachers
from mtkd_cli.training import checkpoint, checkpointing
from mtkd_cli.training.context import Context
from mtkd_cli.training.out_of_memory import memory_errors
from mtkd_cli.training.progress import Progress

TOO_MUCH = 10**15
GREEDY = f"""
import torch

class Greedy(torch.nn.Module):
    def forward(self, views):
        return torch.empty(len(views), 10 if len(views) <= 4 else {TOO_MUCH}).zero_()

def build():
    return Greedy()
"""


def test_a_teacher_that_does_not_fit_is_named(context: Callable[..., Context]) -> None:
    Path("greedy.py").write_text(GREEDY)
    made = context("teachers=[{model: 'python:greedy.py:build', pretrained: true}]")
    with pytest.raises(MemoryFullError, match="out of memory") as caught:
        prepare_teachers(made, 1)
    assert caught.value.exit_code == 4
    assert "teacher 'build', batches of " in caught.value.where


def test_a_student_that_does_not_fit_leaves_its_checkpoints(
    context: Callable[..., Context], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpointing, "TIMES_ITS_COST", 0.0)
    stepped = Progress.stepped

    def then_too_much(progress: Progress, step: Any, losses: Any) -> None:
        stepped(progress, step, losses)
        if progress._name == "distil" and step.epoch == 1:
            torch.empty(TOO_MUCH)

    with monkeypatch.context() as patch:
        patch.setattr(Progress, "stepped", then_too_much)
        with pytest.raises(MemoryFullError) as caught:
            pipeline.distill(context(), Run("run"), baseline=False)
    assert "distil, batches of 64" in caught.value.where
    assert "train.batch_size" in caught.value.hint
    assert len(checkpoint.numbered(Path("runs/run/checkpoints/candidate-1"))) == 1
    report = results.as_json(pipeline.distill(context(), Run("run", go_on=True), baseline=False))
    assert report["scores"]["student"]["accuracy"] > 0


@pytest.mark.parametrize("error", [ValueError("out of memory"), RuntimeError("shapes differ")])
def test_another_error_stays_what_it_is(error: Exception) -> None:
    with pytest.raises(type(error), match=str(error)), memory_errors("here", "less"):
        raise error
