"""Events of a run reach every listener, in order."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rich.table import Table

from mtkd_cli.training.events import RunEvents, RunListener


class Notes(RunListener):
    """Keeps the lines and rows that it is told of."""

    def __init__(self, notes: list[tuple[str, Any]], name: str) -> None:
        self.notes, self.name = notes, name

    def said(self, line: str) -> None:
        self.notes.append((self.name, line))

    def epoch_finished(self, row: Any) -> None:
        self.notes.append((self.name, row))


def test_every_listener_is_told_in_order_and_may_ignore_what_it_likes() -> None:
    notes: list[tuple[str, Any]] = []
    first = RunEvents((Notes(notes, "a"),))
    both = first.with_listeners(RunListener(), Notes(notes, "b"))
    both.run_started({}, Path("run"))
    both.said("line")
    both.logged("for the log")
    both.table_shown(Table())
    both.training_began({"phase": "distil"}, [])
    both.epoch_finished({"step": 1})
    both.run_finished({})
    first.said("only one")
    row = {"step": 1}
    assert notes == [("a", "line"), ("b", "line"), ("a", row), ("b", row), ("a", "only one")]
