"""The rows of a run, ``metrics.jsonl``: one for each evaluation, each once, whatever was killed when."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mtkd_cli.files import atomic
from mtkd_cli.interfaces.significant_digits import without_nan
from mtkd_cli.training.events import RunListener

LABEL = ("phase", "candidate")
"""What tells the trainings of a run apart; only a search has candidates."""


@dataclass(frozen=True)
class MetricsFile(RunListener):
    """Keeps the rows of a run in ``metrics.jsonl``."""

    path: Path

    def training_began(self, label: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> None:
        settle(self.path, label, rows)

    def epoch_finished(self, row: Mapping[str, Any]) -> None:
        append(self.path, row)


def append(path: Path, row: Mapping[str, Any]) -> None:
    """Add one row."""
    with atomic.disk_errors(path), path.open("a", encoding="utf-8") as file:
        file.write(_line(row))
        file.flush()
        os.fsync(file.fileno())


def read(path: Path) -> list[dict[str, Any]]:
    """Return the rows; a line that was cut is none."""
    return _rows(_text(path))


def settle(path: Path, label: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> None:
    """Make ``rows`` the rows of the training with this label. Those of others stay as they are."""
    text = _text(path)
    present, wanted = _rows(text), [{**label, **row} for row in rows]
    mine = [row for row in present if _label(row) == _label(label)]
    if list(map(_line, mine)) != list(map(_line, wanted)):
        present = [row for row in present if _label(row) != _label(label)] + wanted
    settled = "".join(map(_line, present))
    if settled != text:
        with atomic.disk_errors(path):
            atomic.write_bytes(path, settled.encode())


def _line(row: Mapping[str, Any]) -> str:
    return json.dumps(without_nan(dict(row)), allow_nan=False) + "\n"


def _label(row: Mapping[str, Any]) -> tuple[Any, ...]:
    return tuple(row.get(name) for name in LABEL)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return ""


def _rows(text: str) -> list[dict[str, Any]]:
    rows = []
    for line in text.splitlines():
        try:
            row = json.loads(line)
        except ValueError:
            continue
        if isinstance(row, dict):
            rows.append(row)
    return rows
