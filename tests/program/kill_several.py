"""Kill runs of several processes: one of them, the one that started them, or all; let them go on; compare.

``python -m tests.program.kill_several --kills 30``

The processes are forked by one that does what mtkd's launcher does: it tells them who they are, and ends the
others when one is gone. Kills are SIGKILL, at random times. Then ``mtkd distill --resume`` goes on in as many
processes, with nothing cleaned up by hand, and every bit is compared with a run that nothing disturbed.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import json
import os
import random
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from mtkd_cli import __version__
from mtkd_cli.distributed.parent_watch import PARENT
from tests.program.kill_harness import do_not_wait_for_the_disk, go_on_in, start
from tests.program.several import environment, free_port
from tests.program.small_run import START, results

PIDS = "pids.json"
ENDS_WITHIN = 60.0
"""Seconds in which a process must end whose parent was killed."""


def launch(folder: Path, arguments: tuple[str, ...], processes: int) -> int:
    """Fork a process that starts the others and waits for them; return its number."""
    (folder / PIDS).unlink(missing_ok=True)
    number = os.fork()
    if number:
        return number
    port, me = free_port(), {PARENT: str(os.getpid())}
    told = [environment(rank, processes, port) | me for rank in range(processes)]
    workers = [start(folder, arguments, _telling(each)) for each in told]
    part = folder / "pids.partial"
    part.write_text(json.dumps(workers))
    part.rename(folder / PIDS)
    codes = set()
    while workers:
        ended, status = os.wait()
        workers.remove(ended)
        codes.add(os.waitstatus_to_exitcode(status))
        if codes != {0}:
            for worker in workers:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(worker, signal.SIGTERM)
    os._exit(int(codes != {0}))


def _telling(told: dict[str, str]) -> Callable[[], None]:
    return lambda: os.environ.update(told)


def kill(folder: Path, launcher: int, kind: str, seconds: float, chance: random.Random) -> bool:
    """Kill some of a run's processes after a while; return whether they were there, and end the rest."""
    time.sleep(seconds)
    while not (folder / PIDS).exists():
        time.sleep(0.01)
    workers = json.loads((folder / PIDS).read_text())
    victims = {"one": [chance.choice(workers)], "parent": [launcher], "all": [launcher, *workers]}[kind]
    if os.waitpid(launcher, os.WNOHANG)[0]:
        return False
    for victim in victims:
        with contextlib.suppress(ProcessLookupError):
            os.kill(victim, signal.SIGKILL)
    os.waitpid(launcher, 0)
    deadline = time.monotonic() + ENDS_WITHIN
    while any(runs(worker) for worker in workers):
        assert time.monotonic() < deadline, f"processes outlive their parent, {kind} killed"
        time.sleep(0.05)
    return True


def runs(number: int) -> bool:
    """Whether a process exists and is not a zombie."""
    try:
        stat = Path(f"/proc/{number}/stat").read_text(encoding="utf-8")
    except FileNotFoundError:
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


def whole(folder: Path, processes: int) -> float:
    """Run undisturbed to the end; return the seconds that took."""
    began = time.monotonic()
    number = launch(folder, go_on_in(folder), processes)
    code = os.waitstatus_to_exitcode(os.waitpid(number, 0)[1])
    assert code == 0, (folder / "output.txt").read_text()
    return time.monotonic() - began


def main() -> None:
    """Kill as often as asked, print what was found as JSON; exit 1 if anything was not survived."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument("--kills", type=int, default=3)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()

    import torch
    import torch._dynamo
    import torchvision  # noqa: F401

    import mtkd_cli.runs.start  # noqa: F401

    torch.set_num_threads(1)
    do_not_wait_for_the_disk()
    home, chance = Path(tempfile.mkdtemp(prefix="mtkd-kills-")), random.Random(options.seed)
    reference = home / "whole"
    reference.mkdir()
    seconds = whole(reference, options.processes)
    expected = results(reference / "runs/run", reference / "store")
    killed: collections.Counter[str] = collections.Counter()
    survived: collections.Counter[str] = collections.Counter()
    for number in range(options.kills):
        folder, kind = home / f"run-{number}", ("one", "parent", "all")[number % 3]
        folder.mkdir()
        launcher = launch(folder, START, options.processes)
        was_there = kill(folder, launcher, kind, chance.uniform(0, seconds), chance)
        whole(folder, options.processes)
        same = results(folder / "runs/run", folder / "store") == expected
        killed[kind] += was_there
        survived[kind] += was_there and same
        print(f"{number + 1} of {options.kills}: {kind}, {'same' if same else 'OTHER'} bits", file=sys.stderr)
        if not same:
            sys.exit(1)
    facts = {
        "processes": options.processes,
        "runs": options.kills,
        "survived, of so many, by who was killed": {k: [survived[k], killed[k]] for k in sorted(killed)},
        "seed": options.seed,
        "versions": {"mtkd": __version__, "torch": torch.__version__},
    }
    print(json.dumps(facts, indent=2))


if __name__ == "__main__":
    main()
