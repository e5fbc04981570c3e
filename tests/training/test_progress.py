"""What is shown while a run goes on."""

from __future__ import annotations

import time
from io import StringIO

import pytest
from rich.console import Console

from mtkd_cli.training import progress
from mtkd_cli.training.events import RunListener
from mtkd_cli.training.progress import Progress


class Lines(RunListener):
    """Keeps what is said and logged."""

    def __init__(self, lines: list[str]) -> None:
        self.lines = lines

    def said(self, line: str) -> None:
        self.lines.append(line)

    def logged(self, line: str) -> None:
        self.lines.append(line)


def test_a_phase_that_waits_before_anything_is_done_gives_no_estimate(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As of a process that waits for another one, or for its first share."""
    monkeypatch.setattr(progress, "PLAIN_EVERY_SECONDS", 0.0)
    said: list[str] = []
    shown = Progress(listeners=[Lines(said)])
    with shown.phase("record", 10):
        shown.advance(0)
        assert not said
        time.sleep(0.001)
        shown.advance(4)
    assert said[0].startswith("record: 4 of 10, about ")


def test_runs_that_share_what_was_told_say_it_once_and_each_keep_it() -> None:
    shown, logs = StringIO(), [list[str](), list[str]()]
    first = Progress(Console(file=shown), [Lines(logs[0])])
    second = Progress(Console(file=shown), [Lines(logs[1])], told=first.told)
    for each in (first, second):
        each.remark(["teacher a does not know b"], about={"a": ["c"]})
    assert shown.getvalue() == "teacher a does not know b\n"
    assert logs == [["teacher a does not know b"]] * 2
    second.remark(["teacher a does not know b"], about={"a": ["another"]})
    assert shown.getvalue().count("\n") == 2
