"""Runs that learn teachers' features."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from safetensors import safe_open

from mtkd_cli.errors import UsageError
from mtkd_cli.teachers import features
from tests.fixtures.small_runs import Distill


def test_features_are_recorded_once_and_not_in_student(
    distill: Distill, monkeypatch: pytest.MonkeyPatch
) -> None:
    distill(name="plain")
    distill("loss.features=1", name="guided")
    names = []
    for run in ("plain", "guided"):
        with safe_open(Path("runs") / run / "student.safetensors", "pt") as file:
            names.append(sorted(file.keys()))
            weights = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    assert names[0] == names[1]

    def loaded(*_: Any) -> None:
        raise AssertionError("a teacher was loaded")

    monkeypatch.setattr(features, "load_teacher", loaded)
    distill("loss.features=1", name="again")
    with safe_open(Path("runs/again/student.safetensors"), "pt") as file:
        assert all(file.get_tensor(key).equal(value) for key, value in weights.items())


def test_each_view_has_its_own_features(distill: Distill) -> None:
    distill("loss.features=0.5", "views=2", "strategy=median")


def test_rejects_live_views(distill: Distill) -> None:
    with pytest.raises(UsageError, match="recorded views"):
        distill("loss.features=1", "views=live")
