"""A tracker that raises or hangs changes nothing of a run but one line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mtkd_cli.runs import trackers

BAD = """
import time

class Quiet:
    def run_started(self, recipe, folder): pass
    def epoch_finished(self, row): pass
    def run_finished(self, report): pass

class Raises(Quiet):
    def epoch_finished(self, row):
        raise ConnectionError("no server")

class Hangs(Quiet):
    def run_started(self, recipe, folder):
        time.sleep(3600)

class Spoils(Quiet):
    def epoch_finished(self, row):
        row.clear()
    def run_started(self, recipe, folder):
        recipe.clear()
    def run_finished(self, report):
        report.clear()
"""


def test_bad_trackers_stop_no_run_and_change_no_bit_of_it(
    distill: Callable[..., dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trackers, "PATIENCE_SECONDS", 2.0)
    Path("bad.py").write_text(BAD)
    plain = distill(name="plain")
    followed = distill(
        "trackers=[{name: 'python:bad.py:Raises'}, {name: 'python:bad.py:Hangs'}, "
        "{name: 'python:bad.py:Spoils'}]",
        name="followed",
    )
    for metric in ("accuracy", "nll", "ece"):
        assert followed["scores"]["student"][metric] == plain["scores"]["student"][metric]
    rows, weights = zip(*(_left_behind(name) for name in ("plain", "followed")), strict=True)
    assert rows[0] == rows[1] != []
    assert weights[0] == weights[1]
    log = Path("runs/followed/log.txt").read_text()
    assert log.count("failed and gets no more events: ConnectionError: no server") == 1
    assert log.count("still hangs after 2 s; it was abandoned") == 1


def _left_behind(name: str) -> tuple[list[str], bytes]:
    """Return the rows of the student's training, and its weights; teachers are fitted once only."""
    rows = Path("runs", name, "metrics.jsonl").read_text().splitlines()
    return [row for row in rows if '"distill"' in row], Path("runs", name, "student.safetensors").read_bytes()
