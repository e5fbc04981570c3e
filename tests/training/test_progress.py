"""Progress of a run on a terminal and elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from io import StringIO

import pytest
import torch
from rich.console import Console

from mtkd_cli.training import progress
from mtkd_cli.training.events import RunListener
from mtkd_cli.training.loop import Losses, Step
from mtkd_cli.training.progress import Progress
from mtkd_cli.training.progress_bar import PhaseDisplay
from mtkd_cli.training.time_left import TimeLeft, format_seconds

Wait = Callable[[float], None]


class Lines(RunListener):
    """Stores the lines shown and logged."""

    def __init__(self, lines: list[str]) -> None:
        self.lines = lines

    def line_shown(self, line: str) -> None:
        self.lines.append(line)

    def line_logged(self, line: str) -> None:
        self.lines.append(line)


@pytest.fixture
def wait(monkeypatch: pytest.MonkeyPatch) -> Wait:
    """Advance the clock of the progress by some seconds."""
    now = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])

    def advance_clock(seconds: float) -> None:
        now[0] += seconds

    return advance_clock


def listening() -> tuple[Progress, list[str]]:
    lines: list[str] = []
    return Progress(listeners=[Lines(lines)]), lines


def test_estimates_after_warm_up_without_first_step() -> None:
    left = TimeLeft()
    assert left.seconds(10) is None
    left.advance(0, now=0.0)  # e.g. while another process works
    left.advance(1, now=100.0)  # the first step compiles
    for step in range(1, 5):
        left.advance(1, now=100.0 + step)
        assert left.seconds(10) is None
    left.advance(1, now=105.0)
    assert left.seconds(10) == 10.0
    assert [format_seconds(seconds) for seconds in (12, 725, 3723)] == ["0:12", "12:05", "1:02:03"]


def test_time_left_does_not_jump_when_a_candidate_is_added(wait: Wait) -> None:
    shown, _ = listening()
    left = []
    with shown.phase("distill", 20):
        for count, number in ((2, 1), (2, 2), (3, 3)):
            shown.candidate(number, count)
            for _ in range(20):
                wait(1)
                shown.advance()
                left.append(shown._phase.left)
    assert left[:5] == [""] * 5
    assert left[5:19] == [f"0:{seconds:02}" for seconds in range(14, 0, -1)]
    assert left[20:39] == left[40:59] == [f"0:{seconds:02}" for seconds in range(19, 0, -1)]


def test_log_has_few_lines(wait: Wait) -> None:
    shown, lines = listening()
    shown.expect(["fit a", "distill"])
    with shown.phase("distill", 1000):
        for number, rate in enumerate((0.01, 0.1), start=1):
            shown.candidate(number, 2, f"lr {rate:g}")
            for _ in range(1000):
                wait(0.5)
                shown.advance(notes=lambda: ("epoch 1", "task 0.5"))
    assert len(lines) == 2 * 9 + 1
    assert lines[0] == "phase 2 of 2: distill 1/2 (lr 0.01): 10 %, about 7:30 left  epoch 1  task 0.5"
    assert lines[-1] == "phase 2 of 2: distill: done in 1000.0 s  epoch 1  task 0.5"


def test_slow_phase_is_logged_every_five_minutes(wait: Wait) -> None:
    shown, lines = listening()
    with shown.phase("record a", 1000):
        for _ in range(20):
            wait(60)
            shown.advance()
    assert len(lines) == 4 + 1


def test_phase_without_a_number() -> None:
    shown, lines = listening()
    shown.expect(["distill"])
    with shown.phase("predict", 1):
        shown.advance()
    assert lines[0].startswith("predict: done in ")


def test_says_where_a_search_resumes() -> None:
    shown, lines = listening()
    with shown.phase("distill", 800):
        for number, done in ((1, 800), (2, 340), (3, 0)):
            shown.candidate(number, 3).on_start(done, [])
    assert lines == ["resuming: distill, candidate 2 of 3, step 340 of 800"]


def test_says_where_a_search_resumes_between_candidates() -> None:
    shown, lines = listening()
    with shown.phase("distill", 800):
        for number, done in ((1, 800), (2, 0), (3, 0)):
            shown.candidate(number, 3).on_start(done, [])
    assert lines == ["resuming: distill, candidate 2 of 3, step 0 of 800"]


def test_says_that_a_phase_was_finished_before() -> None:
    shown, lines = listening()
    with shown.phase("distill", 800):
        shown.on_start(800, [])
    assert lines == ["distill: already finished, reused"]


def test_resumed_recording_does_not_distort_the_estimate(wait: Wait) -> None:
    shown, lines = listening()
    with shown.phase("record a", 1000):
        shown.resume_after(900)
        for _ in range(8):
            wait(2)
            shown.advance(10)
        assert shown._phase.left == "0:04"
    assert lines[0] == "resuming: record a, 900 of 1000"


@pytest.mark.parametrize("width", [60, 80])
def test_no_word_is_broken_on_a_narrow_terminal(width: int) -> None:
    drawn = StringIO()
    console = Console(file=drawn, width=width, force_terminal=True, color_system=None)
    notes = ["epoch 12", "accuracy 0.912", "task 0.123", "kd 0.456", "123,456 samples/s"]
    title = "phase 13 of 18: student pseudo-labels 2/3 (lr 0.003, weight_decay 0.0001)"
    console.print(PhaseDisplay(title, 0.45, "1:02:03", notes))
    console.print("-")
    shown = Progress(console)
    sentence = "distill: the edge of train.lr was chosen, so 0.0316228 is tried, too; resuming from step 120"
    shown.say(sentence)
    lines = drawn.getvalue().splitlines()
    assert max(map(len, lines)) <= width
    words = drawn.getvalue().split()
    before, after = words[: words.index("-")], words[words.index("-") + 1 :]
    assert after == sentence.split()
    assert set(before) - {word for word in before if set(word) <= set("━╸╺ ")} <= {
        *title.split(),
        *" ".join(notes).split(),
        *["45", "%", "1:02:03", "left"],
    }
    assert "epoch 12" in drawn.getvalue()


def test_lines_stay_whole_without_a_terminal() -> None:
    drawn = StringIO()
    Progress(Console(file=drawn, width=20)).say("word " * 20)
    assert drawn.getvalue().count("\n") == 1


def test_terminal_shows_phase_and_candidate() -> None:
    drawn = StringIO()
    shown = Progress(Console(file=drawn, width=80, force_terminal=True, color_system=None))
    shown.expect(["fit a", "record a", "distill"])
    with shown.phase("distill", 2):
        shown.candidate(2, 3, "lr 0.01")
        step = Step(0, 0, 0.0, torch.arange(4).numpy())
        shown.on_step(step, Losses(torch.tensor(0.5)))
        shown.on_step(step, Losses(torch.tensor(0.5)))
    assert "phase 3 of 3: distill 2/3 (lr 0.01)" in drawn.getvalue()
    assert "task 0.500" in drawn.getvalue()


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
