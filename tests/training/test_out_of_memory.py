"""Out-of-memory errors name what was in memory, and checkpoints survive."""

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
HUGE_TEACHER = f"""
import torch

class Huge(torch.nn.Module):
    def forward(self, views):
        return torch.empty(len(views), 10 if len(views) <= 4 else {TOO_MUCH}).zero_()

def build():
    return Huge()
"""


def test_names_teacher(context: Callable[..., Context]) -> None:
    Path("huge.py").write_text(HUGE_TEACHER)
    created = context("teachers=[{model: 'python:huge.py:build', pretrained: true}]")
    with pytest.raises(MemoryFullError, match="out of memory") as caught:
        prepare_teachers(created, 1)
    assert caught.value.exit_code == 4
    assert "teacher 'build', batches of " in caught.value.where


def test_keeps_checkpoints_of_student(
    context: Callable[..., Context], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpointing, "MIN_INTERVAL_RATIO", 0.0)
    stepped = Progress.on_step

    def allocate_too_much(progress: Progress, step: Any, losses: Any) -> None:
        stepped(progress, step, losses)
        if progress._phase.name == "distill" and step.epoch == 1:
            torch.empty(TOO_MUCH)

    with monkeypatch.context() as patch:
        patch.setattr(Progress, "on_step", allocate_too_much)
        with pytest.raises(MemoryFullError) as caught:
            pipeline.distill(context(), Run("run"), baseline=False)
    assert "distill, batches of 64" in caught.value.where
    assert "train.batch_size" in caught.value.hint
    assert len(checkpoint.list_checkpoints(Path("runs/run/checkpoints/candidate-1"))) == 1
    report = results.as_json(pipeline.distill(context(), Run("run", resume=True), baseline=False))
    assert report["scores"]["student"]["accuracy"] > 0


@pytest.mark.parametrize("error", [ValueError("out of memory"), RuntimeError("shapes differ")])
def test_passes_other_errors_on(error: Exception) -> None:
    with pytest.raises(type(error), match=str(error)), memory_errors("here", "less"):
        raise error
