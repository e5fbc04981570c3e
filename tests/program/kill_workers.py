"""Kill workers that record a recipe together; start others; compare the recording with that of one process.

``python -m tests.program.kill_workers --recordings 20``

Workers are forked processes that run ``mtkd record --worker``, with small shards and a short sleep in each.
At random times one of them gets SIGKILL, and a new one starts. The last ones end by themselves.
"""

from __future__ import annotations

import argparse
import collections
import hashlib
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from mtkd_cli import __version__
from tests.program.kill_harness import do_not_wait_for_the_disk, start, wait
from tests.program.small_run import RECIPE

COMMAND = ("record", *RECIPE, "views=3", "--threads", "1")
LOST_AFTER = 3.0
SHARD_SAMPLES, SHARD_SECONDS = 32, 0.02


def prepare() -> None:
    """Make the shards of this process small and slow, and log each one that it begins."""
    from mtkd_cli.store import row_format
    from mtkd_cli.teachers import recording

    row_format.MAX_SHARD_SAMPLES = SHARD_SAMPLES
    os.environ["MTKD_LOST_AFTER"] = str(LOST_AFTER)
    compute = recording.compute_shard

    def logged(job: Any, shard: int, stop: threading.Event, gaps: list[tuple[str, int]]) -> Any:
        with Path("computed").open("a") as log:
            log.write(f"{job.teacher} {job.split.name} {job.view} {shard}\n")
        time.sleep(SHARD_SECONDS)
        return compute(job, shard, stop, gaps)

    recording.compute_shard = logged


def arrays(store: Path) -> dict[str, str]:
    """Return the checksum of every array and fitted teacher in a store."""
    paths = [*store.glob("outputs/*/outputs.npy"), *store.glob("fitted/*/teacher.safetensors")]
    return {
        str(path.relative_to(store)): hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(paths)
    }


def leftovers(store: Path) -> list[str]:
    """Return claims and unfinished folders: a worker was killed just before it removed them."""
    return [str(path) for path in store.rglob("*") if ".claim" in path.name or "unfinished" in path.name]


def record(folder: Path, workers: int, kills: int, seconds: float, chance: random.Random) -> dict[str, Any]:
    """Record with some workers, and kill some; return what happened."""
    folder.mkdir()
    began = time.monotonic()
    running = [start(folder, (*COMMAND, "--worker"), prepare) for _ in range(workers)]
    codes: collections.Counter[int] = collections.Counter()
    killed = 0
    for _ in range(kills):
        time.sleep(chance.uniform(0, seconds))
        victim = running.pop(chance.randrange(len(running)))
        os.kill(victim, signal.SIGKILL)
        code = wait(victim)
        killed += code == -signal.SIGKILL
        codes[code] += 1
        running.append(start(folder, (*COMMAND, "--worker"), prepare))
    codes.update(wait(worker) for worker in running)
    begun = collections.Counter((folder / "computed").read_text().splitlines())
    return {
        "codes": codes,
        "killed": killed,
        "shards": len(begun),
        "begun": sum(begun.values()),
        "seconds": time.monotonic() - began,
    }


def main() -> None:
    """Record as often as asked, print what was found as JSON; exit 1 if anything was wrong."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument("--recordings", type=int, default=2)
    parser.add_argument("--workers", type=int, default=3)
    parser.add_argument("--kills", type=int, default=5, help="kills in each recording")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()

    import sklearn.datasets  # noqa: F401
    import torch
    import torch._dynamo
    import torchvision  # noqa: F401

    import mtkd_cli.runs.start  # noqa: F401

    torch.set_num_threads(1)
    do_not_wait_for_the_disk()
    home, chance = Path(tempfile.mkdtemp(prefix="mtkd-kills-")), random.Random(options.seed)
    alone = home / "alone"
    alone.mkdir()
    began = time.monotonic()
    assert wait(start(alone, COMMAND, prepare)) == 0, (alone / "output.txt").read_text()
    seconds, expected = time.monotonic() - began, arrays(alone / "store")
    total: collections.Counter[str] = collections.Counter()
    failures = []
    for number in range(options.recordings):
        folder = home / f"recording-{number}"
        done = record(folder, options.workers, options.kills, seconds / options.kills, chance)
        same = arrays(folder / "store") == expected
        total.update({name: done[name] for name in ("killed", "shards", "begun")}, recordings=1)
        total["with leftovers"] += bool(leftovers(folder / "store"))
        if same and set(done["codes"]) <= {0, -signal.SIGKILL}:
            shutil.rmtree(folder)
        else:
            failures.append(f"{folder}: {dict(done['codes'])}")
        print(f"{number + 1} of {options.recordings}: {done}", file=sys.stderr)
    facts = {
        "workers": options.workers,
        **total,
        "recordings of each shard": round(total["begun"] / total["shards"], 4),
        "seed": options.seed,
        "versions": {"mtkd": __version__, "torch": torch.__version__},
        "failures": failures,
    }
    print(json.dumps(facts, indent=2))
    if failures:
        sys.exit(1)
    shutil.rmtree(home)


if __name__ == "__main__":
    main()
