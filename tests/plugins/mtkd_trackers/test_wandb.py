"""Tracker `wandb`, offline: same numbers as metrics.jsonl, one run after a resume."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import wandb

from mtkd_trackers.rows import curve_name, numbers_of
from mtkd_trackers.wandb import WeightsAndBiases


def test_logs_every_row_offline(
    distill: Callable[..., dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_MODE", "offline")
    logged: list[dict[str, Any]] = []
    original = wandb.Run.log
    monkeypatch.setattr(wandb.Run, "log", lambda run, row: (logged.append(row), original(run, row))[1])
    report = distill("trackers=[{name: wandb, project: mine}]", "train.lr=[0.01,0.02]", name="watched")
    rows = [json.loads(line) for line in Path("runs/watched/metrics.jsonl").read_text().splitlines()]
    expected = [
        {f"{curve_name(row)}/{name}": value for name, value in numbers_of(row).items()}
        | {f"{curve_name(row)}/step": row["step"]}
        for row in rows
    ]
    assert logged == expected
    (written,) = Path("runs/watched/wandb").glob("offline-run-*/*.wandb")
    content = written.read_bytes()
    for text in ("watched", "mine", "scores.student.accuracy", report["verdict"]["sentence"][:40]):
        assert text.encode() in content


def test_resumed_run_keeps_its_id(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_MODE", "disabled")
    ids = []
    for _ in range(2):
        WeightsAndBiases("mtkd", None).run_started({"task": "x"}, tmp_path)
        ids.append((tmp_path / "wandb" / "run-id").read_text())
    assert ids[0] == ids[1] and len(ids[0]) == 32


def test_without_key_nothing_is_sent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    modes: list[str] = []
    monkeypatch.delenv("WANDB_MODE", raising=False)
    monkeypatch.setattr(wandb, "login", lambda **_: False)
    monkeypatch.setattr(wandb, "init", lambda **options: modes.append(options["mode"]))
    WeightsAndBiases("mtkd", None).run_started({}, tmp_path)
    assert modes == ["offline"]
