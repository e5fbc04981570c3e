"""The rows of a run, ``metrics.jsonl``: one row for each evaluation, without duplicates after a crash."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mtkd_cli.files import atomic
from mtkd_cli.interfaces.significant_digits import without_nan
from mtkd_cli.training.events import RunListener

LABEL = ("phase", "candidate")
"""Keys that identify a training; only a search has candidates."""

FORMER_PHASES = {"distil": "distill"}
"""Phase names of mtkd 0.2 and before, and their names today."""


@dataclass(frozen=True)
class MetricsFile(RunListener):
    """Writes the rows of a run to ``metrics.jsonl``.

    It waits for the disk when a training is complete, not for each row: a training that goes on after a power
    cut has its rows in its checkpoint.
    """

    path: Path

    def training_began(self, label: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> None:
        replace_rows(self.path, label, rows)
        self._sync()

    def epoch_finished(self, row: Mapping[str, Any]) -> None:
        append(self.path, row)

    def run_finished(self, report: Mapping[str, Any]) -> None:
        self._sync()

    def _sync(self) -> None:
        if self.path.exists():
            with atomic.disk_errors(self.path):
                atomic.sync_file(self.path)


def append(path: Path, row: Mapping[str, Any]) -> None:
    """Add one row."""
    with atomic.disk_errors(path), path.open("a", encoding="utf-8") as file:
        file.write(_line(row))


def read(path: Path) -> list[dict[str, Any]]:
    """Return the rows; incomplete lines are skipped."""
    return _parse_rows(_read_text(path))


def replace_rows(path: Path, label: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> None:
    """Replace the rows of one training by ``rows``; keep the rows of all others.

    Args:
        path: the file; it may not exist yet.
        label: phase and candidate of the training.
        rows: rows of the training, without the label.
    """
    text = _read_text(path)
    present, wanted = _parse_rows(text), [{**label, **row} for row in rows]
    own = [row for row in present if _label(row) == _label(label)]
    if list(map(_line, own)) != list(map(_line, wanted)):
        present = [row for row in present if _label(row) != _label(label)] + wanted
    new_text = "".join(map(_line, present))
    if new_text != text:
        with atomic.disk_errors(path):
            atomic.write_bytes(path, new_text.encode())


def _line(row: Mapping[str, Any]) -> str:
    return json.dumps(without_nan(dict(row)), allow_nan=False) + "\n"


def _label(row: Mapping[str, Any]) -> tuple[Any, ...]:
    return tuple(row.get(name) for name in LABEL)


def _read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return ""


def _parse_rows(text: str) -> list[dict[str, Any]]:
    rows = []
    for line in text.splitlines():
        try:
            row = json.loads(line)
        except ValueError:
            continue
        if isinstance(row, dict):
            rows.append(_with_current_phase(row))
    return rows


def _with_current_phase(row: dict[str, Any]) -> dict[str, Any]:
    current = FORMER_PHASES.get(str(row.get("phase")))
    return {**row, "phase": current} if current else row
