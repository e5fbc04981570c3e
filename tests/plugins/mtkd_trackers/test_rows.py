"""What trackers share: names of curves, flat paths, and the message for a missing library."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest

from mtkd_cli.errors import DataError
from mtkd_trackers.mlflow import MLflow
from mtkd_trackers.rows import curve_name, flatten, numbers_of
from mtkd_trackers.tensorboard import TensorBoard
from mtkd_trackers.wandb import WeightsAndBiases

LIBRARIES = [
    (TensorBoard(), "tensorboardX", "tensorboard"),
    (WeightsAndBiases("mtkd", None), "wandb", "wandb"),
    (MLflow("mtkd"), "mlflow", "mlflow"),
]


@pytest.mark.parametrize(("tracker", "library", "extra"), LIBRARIES)
def test_missing_library_message_has_install_command(
    tracker: Any, library: str, extra: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(DataError, match=f"{library} is not installed") as caught:
        tracker.run_started({}, tmp_path)
    assert caught.value.hint == f"pip install 'mtkd[{extra}]'"


def test_curve_name_has_phase_and_candidate() -> None:
    assert curve_name({"phase": "student alone", "candidate": 2, "step": 3}) == "student-alone-2"
    assert curve_name({"phase": "fit a/b", "step": 3}) == "fit-a-b"


def test_numbers_leave_out_labels_and_text() -> None:
    row = {"phase": "fit", "candidate": 1, "step": 2, "lr": 0.1, "note": "x", "done": True}
    assert numbers_of(row) == {"lr": 0.1}


def test_flatten_joins_paths() -> None:
    assert dict(flatten({"a": {"b": [1, None]}, "c": "d"}, "x")) == {
        "x.a.b.0": 1,
        "x.a.b.1": None,
        "x.c": "d",
    }
