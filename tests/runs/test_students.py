"""The student is trained once for each candidate; one that fails drops out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mtkd_cli.errors import TrainingError
from mtkd_cli.runs import students


def test_a_candidate_that_fails_is_left_out_and_listed(
    distil: Callable[..., dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    train = students.train

    def failing(*arguments: Any) -> Any:
        if arguments[4].lr == (0.5,):
            raise TrainingError("the loss is nan at step 1 of 2")
        return train(*arguments)

    monkeypatch.setattr(students, "train", failing)
    report = distil("train.lr=[0.5, 0.01]", name="searched")
    assert report["student"]["chosen"]["lr"] == 0.01
    assert [trial.get("failed") for trial in report["student"]["trials"]] == [
        "the loss is nan at step 1 of 2",
        None,
    ]
    assert "the candidate lr 0.5 is out: the loss is nan" in Path("runs/searched/log.txt").read_text()
