"""Kill runs of mtkd with SIGKILL, let them go on, and compare every bit with a run that nothing disturbed.

``python -m tests.program.kill_harness --kills 200 --flips 200``

A run is a forked process with a session of its own, so nothing of torch has to be imported again; its whole
process group is killed from outside. A kill loses no write, as a power cut would, so syncs do not wait for
the disk. Half of the kills come at random times. The others come at chosen points, before or after a sync,
rename or removal of some kind of file: there the run stops itself (SIGSTOP), which tells the harness to kill
it. Every other run is killed twice. Then each goes on by ``mtkd distill --resume``, with nothing cleaned up
by hand.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mtkd_cli.store import content_store
from tests.program.small_run import RESUME, START, results, start_with_images

PLACES = {
    "rotating checkpoints": {"keep_last", "_remove_leftovers"},
    "writing a checkpoint": {"checkpoint.write"},
    "recording": {"recorded_outputs.write_shard", "recorded_outputs.create"},
    "keeping a fit or the student alone": {"content_store.fill_once", "_seal"},
    "writing the student": {"write_student"},
    "writing rows": {"metrics_log.append", "metrics_log.replace_rows"},
    "writing report and manifest": {"write_report", "begin", "finish"},
}
"""What each place is called, and the functions that it is below, the innermost first."""


def place_of_call() -> str:
    """Return where in mtkd the present call comes from."""
    names, frame = set(), sys._getframe(2)
    while frame is not None:
        module = frame.f_globals.get("__name__", "").rpartition(".")[2]
        names |= {frame.f_code.co_name, f"{module}.{frame.f_code.co_name}"}
        frame = frame.f_back  # type: ignore[assignment]
    return next((place for place, below in PLACES.items() if names & below), "elsewhere")


def watch_writes(happens: Callable[[str], None]) -> None:
    """Let something happen before and after each sync, rename and removal, given its place."""

    def around(function: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(*arguments: Any, **named: Any) -> Any:
            place = place_of_call()
            happens(place)
            try:
                return function(*arguments, **named)
            finally:
                happens(place)

        return wrapped

    for where, name in (
        (os, "fsync"),
        (Path, "rename"),
        (Path, "replace"),
        (Path, "unlink"),
        (shutil, "rmtree"),
    ):
        setattr(where, name, around(getattr(where, name)))


def do_not_wait_for_the_disk() -> None:
    """Make syncs cheap here and in forks: a kill loses no write, only a power cut would."""
    os.fsync = os.fstat  # type: ignore[assignment]


def start(folder: Path, arguments: tuple[str, ...], prepare: Callable[[], object] = lambda: None) -> int:
    """Fork a process that runs mtkd in a folder; return its number."""
    number = os.fork()
    if number:
        return number
    code = 1
    try:
        os.setsid()
        os.chdir(folder)
        os.environ["MTKD_STORE"] = str(folder / "store")
        output = os.open("output.txt", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(output, 1)
        os.dup2(output, 2)
        prepare()
        from mtkd_cli.__main__ import main
        from mtkd_cli.training import checkpointing

        checkpointing.MIN_INTERVAL_RATIO = 0.0  # a checkpoint every epoch, however short
        sys.argv = ["mtkd", *arguments]
        main()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(bool(end.code))
    except BaseException:
        traceback.print_exc()
    os._exit(code)


def wait(number: int) -> int:
    """Return the exit code of a process that ends by itself."""
    return os.waitstatus_to_exitcode(os.waitpid(number, 0)[1])


def killed_after(number: int, seconds: float) -> bool:
    """Kill a process and all that it started after some time; return whether it was still running."""
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        if os.waitpid(number, os.WNOHANG)[0]:
            return False
        time.sleep(0.001)
    return _kill(number)


def killed_where_it_stops(number: int) -> bool:
    """Kill a process and all that it started when it stops itself; return whether it did."""
    _, status = os.waitpid(number, os.WUNTRACED)
    return os.WIFSTOPPED(status) and _kill(number)


def _kill(number: int) -> bool:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(number, signal.SIGKILL)
    return os.WIFSIGNALED(os.waitpid(number, 0)[1])


def go_on_in(folder: Path, command: tuple[str, ...] = START) -> tuple[str, ...]:
    """Return the command that resumes the run of a folder, or starts it."""
    return RESUME if (folder / "runs/run/recipe.yaml").is_file() else command


def stopping_at(place: str, call: int) -> Callable[[], None]:
    """Return what makes a process stop itself at some event of a place."""
    left = iter(range(call, -1, -1))

    def happens(here: str) -> None:
        if here == place and next(left, -1) == 0:
            os.kill(os.getpid(), signal.SIGSTOP)

    return lambda: watch_writes(happens)


class Harness:
    """A reference run, and how often others that were killed came to the same."""

    def __init__(self, home: Path, seed: int, command: tuple[str, ...] = START) -> None:
        self.command = command
        self.home, self.chance = home, random.Random(seed)
        self.killed: collections.Counter[str] = collections.Counter()
        self.survived: collections.Counter[str] = collections.Counter()
        self.failures: list[str] = []
        whole = self._folder("whole")
        counted = whole / "events.json"

        def count() -> None:
            events: collections.Counter[str] = collections.Counter()

            def happens(place: str) -> None:
                events[place] += 1
                counted.write_text(json.dumps(events))

            watch_writes(happens)

        assert wait(start(whole, command, count)) == 0, (whole / "output.txt").read_text()
        self.events: dict[str, int] = json.loads(counted.read_text())
        self.whole = results(whole / "runs/run", whole / "store")
        began = time.monotonic()
        again = self._folder("again")
        assert wait(start(again, command)) == 0
        self.seconds = time.monotonic() - began
        assert results(again / "runs/run", again / "store") == self.whole, (
            "two runs differ that nothing disturbed"
        )

    def kill(self, number: int) -> None:
        """Kill one run, once or twice, let it go on, and compare."""
        folder = self._folder(f"run-{number}")
        places = []
        for _ in range(1 + number % 2):
            place, killed = self._kill_once(folder, number)
            places += [place] if killed else []
        for place in places:
            self.killed[place] += 1
        code = wait(start(folder, go_on_in(folder, self.command)))
        same = code == 0 and results(folder / "runs/run", folder / "store") == self.whole
        if same:
            for place in places:
                self.survived[place] += 1
            shutil.rmtree(folder)
        else:
            self.failures.append(f"{folder}, killed {places}: exit {code}")

    def _kill_once(self, folder: Path, number: int) -> tuple[str, bool]:
        arguments = go_on_in(folder, self.command)
        if number // 2 % 2:
            seconds = self.chance.uniform(0, self.seconds)
            return "at a random time", killed_after(start(folder, arguments), seconds)
        place = sorted(self.events)[self.chance.randrange(len(self.events))]
        prepare = stopping_at(place, self.chance.randrange(self.events[place]))
        return place, killed_where_it_stops(start(folder, arguments, prepare))

    def flip(self, times: int) -> dict[str, int]:
        """Flip a bit of a file of a run that was killed, let it go on; return how often it did what."""
        template, found = self._folder("template"), collections.Counter({"the same bits": 0, "refused": 0})
        assert killed_where_it_stops(start(template, self.command, stopping_at("writing the student", 0))), (
            "it ended before it could be killed"
        )
        for number in range(times):
            folder = self._folder(f"flip-{number}")
            shutil.rmtree(folder)
            shutil.copytree(template, folder)
            files = sorted(
                path for path in folder.glob("*/*/**/*") if path.is_file() and path.name not in LOGS
            )
            file = files[self.chance.randrange(len(files))]
            content = bytearray(file.read_bytes() or b"\0")
            content[self.chance.randrange(len(content))] ^= 1 << self.chance.randrange(8)
            file.write_bytes(content)
            code = wait(start(folder, RESUME))
            outcome = results(folder / "runs/run", folder / "store") if code == 0 else {}
            if outcome == self.whole:
                found["the same bits"] += 1
            elif code == 0 and self._is_only_unread(outcome, file, folder / "store"):
                found["the same bits, the damaged file not read"] += 1
            elif code in (2, 3):
                found["refused"] += 1
            else:
                self.failures.append(f"{folder}, a bit of {file.relative_to(folder)}: exit {code}")
                continue
            shutil.rmtree(folder)
        return dict(found)

    def _is_only_unread(self, outcome: dict[str, Any], file: Path, kept: Path) -> bool:
        """Whether all is right but the damaged file itself, and the store knows that it is damaged."""
        differ = {
            key for key in outcome.keys() | self.whole.keys() if outcome.get(key) != self.whole.get(key)
        }
        return (
            file.is_relative_to(kept)
            and differ == {str(file.relative_to(kept))}
            and not content_store.is_intact(file.parent)
        )

    def _folder(self, name: str) -> Path:
        folder = self.home / name
        folder.mkdir()
        return folder


LOGS = ("log.txt", "metrics.jsonl", ".lock")
"""Read by people; nothing is computed from them."""


def main() -> None:
    """Kill as often as asked, print what was found as JSON; exit 1 if anything was not survived."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument("--kills", type=int, default=6, help="runs that are killed, every other one twice")
    parser.add_argument("--flips", type=int, default=0, help="runs with one bit of one file flipped")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--images", type=int, default=0, help="data in so many image files, decoded when needed"
    )
    options = parser.parse_args()

    import sklearn.datasets  # noqa: F401
    import torch
    import torchvision  # noqa: F401

    import mtkd_cli.runs.start

    torch.set_num_threads(1)
    do_not_wait_for_the_disk()
    home = Path(tempfile.mkdtemp(prefix="mtkd-kills-"))
    command = start_with_images(home / "images", options.images) if options.images else START
    harness = Harness(home, options.seed, command)
    for number in range(options.kills):
        harness.kill(number)
        print(f"{number + 1} of {options.kills}, {len(harness.failures)} failures", file=sys.stderr)
    flips = harness.flip(options.flips) if options.flips else {}
    places = {place: [harness.survived[place], harness.killed[place]] for place in sorted(harness.killed)}
    facts = {
        "runs": options.kills,
        "kills": sum(harness.killed.values()),
        "survived": sum(harness.survived.values()),
        "survived, of so many, by place": places,
        "flips": flips,
        "seed": options.seed,
        "versions": {"mtkd": mtkd_cli.__version__, "torch": torch.__version__},
        "failures": harness.failures,
    }
    print(json.dumps(facts, indent=2))
    if harness.failures:
        sys.exit(1)
    shutil.rmtree(home)


if __name__ == "__main__":
    main()
