"""Tracker `tensorboard`: event files contain the same numbers as metrics.jsonl."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tensorboardX.proto.event_pb2 import Event


def events(folder: Path) -> list[Event]:
    """Read the records of an event file: length, checksum, event, checksum."""
    (file,) = folder.glob("events.out.tfevents.*")
    content, found = file.read_bytes(), []
    while content:
        (size,) = struct.unpack_from("<Q", content)
        found.append(Event.FromString(content[12 : 12 + size]))
        content = content[16 + size :]
    return found


def scalars(folder: Path) -> dict[str, list[tuple[int, float]]]:
    found: dict[str, list[tuple[int, float]]] = {}
    for event in events(folder):
        for value in event.summary.value:
            if value.WhichOneof("value") == "simple_value":
                found.setdefault(value.tag, []).append((event.step, value.simple_value))
    return found


def test_writes_one_curve_per_training(distill: Callable[..., dict[str, Any]]) -> None:
    distill("trackers=[tensorboard]", "train.lr=[0.01,0.02]", name="watched")
    rows = [json.loads(line) for line in Path("runs/watched/metrics.jsonl").read_text().splitlines()]
    board = Path("runs/watched/tensorboard")
    first, second = scalars(board / "distill-1"), scalars(board / "distill-2")
    assert {folder.name for folder in board.iterdir()} > {"recipe", "distill-1", "distill-2"}
    for curve, candidate in ((first, 1), (second, 2)):
        expected = [row for row in rows if row["phase"] == "distill" and row.get("candidate") == candidate]
        assert [step for step, _ in curve["accuracy"]] == [row["step"] for row in expected]
        for name in ("accuracy", "task_loss", "kd_loss", "lr"):
            assert [value for _, value in curve[name]] == pytest.approx([row[name] for row in expected])
    (text,) = [v for e in events(board / "recipe") for v in e.summary.value if v.tag.startswith("recipe")]
    assert b'"temperature"' in text.tensor.string_val[0]
