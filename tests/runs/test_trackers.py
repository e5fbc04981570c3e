"""A tracker follows a run and can neither stop it nor hold it up."""

import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from mtkd_cli.runs import trackers
from mtkd_cli.runs.trackers import TrackerThread, running_trackers

FOLDER = Path("folder")


def part(create: Any) -> Any:
    return SimpleNamespace(spec=SimpleNamespace(name="mine"), create=create)


class Notes:
    """Notes what it is told."""

    def __init__(self) -> None:
        self.told: list[tuple[str, tuple[Any, ...]]] = []
        self.thread = ""

    def __getattr__(self, method: str) -> Any:
        def note(*arguments: Any) -> None:
            self.thread = threading.current_thread().name
            self.told.append((method, arguments))

        return note


def test_a_tracker_is_told_everything_in_order_on_its_own_thread() -> None:
    notes, warnings = Notes(), []
    thread = TrackerThread(part(lambda: notes), warnings.append)
    thread.run_started({"a": 1}, FOLDER)
    for step in range(5):
        thread.epoch_finished({"step": step})
    thread.close()
    assert notes.told == [
        ("run_started", ({"a": 1}, FOLDER)),
        *(("epoch_finished", ({"step": step},)) for step in range(5)),
    ]
    assert notes.thread == "tracker mine"
    assert warnings == []


@pytest.mark.parametrize("error", [ValueError("no server"), SystemExit(3)])
def test_a_tracker_that_raises_is_one_warning_and_told_nothing_more(error: BaseException) -> None:
    told, warnings = [], []

    class Raises:
        def epoch_finished(self, row: object) -> None:
            told.append(row)
            raise error

    thread = TrackerThread(part(Raises), warnings.append)
    for step in range(3):
        thread.epoch_finished({"step": step})
    thread.close()
    assert told == [{"step": 0}]
    assert len(warnings) == 1
    assert "'mine' failed" in warnings[0]
    assert f"{type(error).__name__}: {error}" in warnings[0]


def test_a_tracker_that_cannot_be_created_is_a_warning() -> None:
    def create() -> None:
        raise ImportError("tensorboardX")

    warnings: list[str] = []
    thread = TrackerThread(part(create), warnings.append)
    thread.run_started({}, FOLDER)
    thread.close()
    assert ["ImportError: tensorboardX" in line for line in warnings] == [True]


def test_a_tracker_that_hangs_is_left_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trackers, "PATIENCE_SECONDS", 0.05)
    forever, warnings = threading.Event(), []

    class Hangs:
        def run_started(self, recipe: object, folder: object) -> None:
            forever.wait()

    thread = TrackerThread(part(Hangs), warnings.append)
    for _ in range(1000):
        thread.run_started({}, FOLDER)
    thread.close()
    assert len(warnings) == 1
    assert "still hangs" in warnings[0]
    forever.set()


def test_a_tracker_without_the_method_is_a_warning() -> None:
    warnings: list[str] = []
    thread = TrackerThread(part(object), warnings.append)
    thread.run_started({}, FOLDER)
    thread.close()
    assert "AttributeError" in warnings[0]


def test_a_tracker_hears_of_what_was_done_before_a_run_failed() -> None:
    notes = Notes()
    with pytest.raises(ZeroDivisionError), running_trackers([part(lambda: notes)], print) as (tracker,):
        tracker.run_started({}, FOLDER)
        tracker.epoch_finished({"step": 1})
        raise ZeroDivisionError
    assert [method for method, _ in notes.told] == ["run_started", "epoch_finished"]
