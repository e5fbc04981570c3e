"""A process that vanishes is noticed; one that was suspended itself does not blame the others."""

from __future__ import annotations

import contextlib
import json
import math
import os
import signal
import sys
import threading
import time
from datetime import timedelta
from pathlib import Path

import pytest

from mtkd_cli.distributed import group, heartbeat
from mtkd_cli.distributed.heartbeat import Watch, watch_others
from mtkd_cli.errors import EngineError, UsageError
from mtkd_cli.files.lost_after import VARIABLE, lost_after
from tests.fixtures.command_line import mtkd
from tests.program.several import environment, free_port


class Dictionary:
    """A store in this process."""

    def __init__(self) -> None:
        self.values: dict[str, str] = {}

    def set(self, key: str, value: str, /) -> None:
        self.values[key] = value

    def multi_get(self, keys: list[str], /) -> list[bytes]:
        try:
            return [self.values[key].encode() for key in keys]
        except KeyError as error:
            raise RuntimeError("not there yet") from error


def test_silent_process_is_lost_after_the_time_in_which_this_one_ran() -> None:
    store, one, other = Dictionary(), Watch(0, 2), Watch(1, 2)
    store.set("1", "0 b")
    for number in range(100):
        one.exchange(store, str(number))
        other.exchange(store, str(number))
        one.run(1, expected=1)
        other.run(1, expected=1)
        assert not one.silent(10) + other.silent(10)
    for _ in range(10):
        one.exchange(store, "x")
        one.run(1, expected=1)
        assert not one.silent(10)
    one.run(1, expected=1)
    assert one.silent(10) == [1]
    assert one.who[1].endswith(f"process id {os.getpid()}")


def test_time_in_which_this_process_was_suspended_does_not_count() -> None:
    store, state = Dictionary(), Watch(0, 2)
    store.set("1", "0 b")
    state.exchange(store, "0")
    state.run(3600, expected=0.5)
    assert state.awake == 1
    assert not state.silent(10)


def test_process_that_is_done_is_not_missed() -> None:
    store, state = Dictionary(), Watch(0, 2)
    store.set("1", f"{heartbeat.DONE} b")
    state.exchange(store, "0")
    assert state.heard == {1: math.inf}
    state.run(1000, expected=1000)
    assert not state.silent(10)


@pytest.mark.parametrize("size", [2, 3, 17, 18, 1000])
def test_every_process_is_watched_by_others(size: int) -> None:
    watched = [set(Watch(rank, size).heard) for rank in range(size)]
    assert set.union(*watched) == set(range(size))
    assert all(rank not in ranks and len(ranks) <= 16 for rank, ranks in enumerate(watched))


def test_store_that_cannot_be_reached_ends_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "1")
    ended, errors = threading.Event(), []

    def connect(timeout: timedelta) -> Dictionary:
        raise RuntimeError("unreachable")

    def end(error: EngineError, report: bool) -> None:
        errors.append((error.what, report))
        ended.set()

    with watch_others(1, 2, connect, end):
        assert ended.wait(60)
    assert errors == [("no sign of life from process 0 (unknown machine) of this run for 1 seconds", True)]


@pytest.mark.parametrize("text", ["x", "0", "-1", "nan", "inf", "1e9", "0.1", " "])
def test_nonsense_is_refused_before_anything_starts(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, text)
    with pytest.raises(UsageError, match=VARIABLE):
        lost_after(300)
    done = mtkd("distill", "digits", "--processes", "2", "--name", "x")
    assert done.exit_code == 2
    assert VARIABLE in done.stderr


@pytest.mark.parametrize(("text", "seconds"), [("", 300.0), ("1", 1.0), ("2.5", 2.5)])
def test_seconds(text: str, seconds: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, text)
    assert lost_after(300) == seconds


def start(rank: int, port: int) -> int:
    """Fork one of two processes that meet in collectives; return its number."""
    number = os.fork()
    if number:
        return number
    try:
        os.environ |= {**environment(rank, 2, port), VARIABLE: "2"}
        sys.argv = ["mtkd", "--json"]
        for name, descriptor in (("out", 1), ("err", 2)):
            os.dup2(os.open(f"{name}-{rank}", os.O_WRONLY | os.O_CREAT), descriptor)
        with group.process_group("cpu"):
            while True:
                group.gather(0)
                Path(f"step-{rank}-{time.monotonic()}").touch()
                time.sleep(0.05)
    except EngineError:
        os._exit(7)
    finally:
        os._exit(1)


def wait_for_steps(count: int) -> None:
    ends = time.monotonic() + 300
    while len(list(Path().glob("step-*"))) < count:
        assert time.monotonic() < ends
        time.sleep(0.02)


def test_suspended_processes_go_on_together_and_one_alone_is_lost() -> None:
    port = free_port()
    numbers = [start(rank, port) for rank in range(2)]
    try:
        wait_for_steps(2)
        for code in (signal.SIGSTOP, signal.SIGCONT):
            for number in numbers:
                os.kill(number, code)
            time.sleep(3)
        wait_for_steps(len(list(Path().glob("step-*"))) + 4)
        os.kill(numbers[1], signal.SIGSTOP)
        assert os.waitstatus_to_exitcode(os.waitpid(numbers[0], 0)[1]) == 5
        said = Path("err-0").read_text()
        assert "error: no sign of life from process 1 (" in said
        assert f"process id {numbers[1]})" in said
        assert json.loads(Path("out-0").read_text())["error"]["code"] == "engine"
        os.kill(numbers[1], signal.SIGCONT)
        assert os.waitstatus_to_exitcode(os.waitpid(numbers[1], 0)[1]) == 7
        assert "no sign of life" not in Path("err-1").read_text()
    finally:
        for number in numbers:
            with contextlib.suppress(ProcessLookupError, ChildProcessError):
                os.kill(number, signal.SIGKILL)
                os.waitpid(number, 0)
