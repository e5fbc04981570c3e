"""Progress lines of a run."""

from __future__ import annotations

import time
from io import StringIO

import pytest
from rich.console import Console

from mtkd_cli.training import progress
from mtkd_cli.training.events import RunListener
from mtkd_cli.training.progress import Progress


class Lines(RunListener):
    """Stores the lines shown and logged."""

    def __init__(self, lines: list[str]) -> None:
        self.lines = lines

    def line_shown(self, line: str) -> None:
        self.lines.append(line)

    def line_logged(self, line: str) -> None:
        self.lines.append(line)


def test_no_estimate_before_first_unit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As in a process that waits for another one."""
    monkeypatch.setattr(progress, "PLAIN_EVERY_SECONDS", 0.0)
    lines: list[str] = []
    shown = Progress(listeners=[Lines(lines)])
    with shown.phase("record", 10):
        shown.advance(0)
        assert not lines
        time.sleep(0.001)
        shown.advance(4)
    assert lines[0].startswith("record: 4 of 10, about ")


def test_shared_remark_is_shown_once_and_logged_by_each() -> None:
    shown, logs = StringIO(), [list[str](), list[str]()]
    first = Progress(Console(file=shown), [Lines(logs[0])])
    second = Progress(Console(file=shown), [Lines(logs[1])], shown_remarks=first.shown_remarks)
    for each in (first, second):
        each.remark(["teacher a does not know b"], about={"a": ["c"]})
    assert shown.getvalue() == "teacher a does not know b\n"
    assert logs == [["teacher a does not know b"]] * 2
    second.remark(["teacher a does not know b"], about={"a": ["another"]})
    assert shown.getvalue().count("\n") == 2
