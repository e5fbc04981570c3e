"""Measure a comparison with one student at a time, and with several.

python docs/benchmarks/jobs.py

Records the teachers of a recipe once. Then each round trains the same students from that recording with
--jobs 1 and with --jobs N, in turns, each in a new folder and with a new store. Checks that all students are
equal to the bit. Writes jobs.md.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from tables import markdown, versions

HERE = Path(__file__).parent
GRID = ("strategy=mean,confidence", "train.seed=0,1")
"""With the best single teacher: six students."""


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--recipe", default="digits")
    parser.add_argument("--changes", nargs="*", default=[], help="overrides of the recipe")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    recipe = [options.recipe, *options.changes]
    times: dict[int, list[tuple[float, float]]] = {1: [], options.jobs: []}
    students: set[str] = set()
    with tempfile.TemporaryDirectory() as folder:
        recorded = Path(folder) / "recorded"
        run(["record", *recipe], Path(folder), recorded)
        for number in range(options.rounds):
            for jobs in times:
                work = Path(folder) / f"{number}-{jobs}"
                shutil.copytree(recorded, work / "store")
                command = ["compare", *recipe, *GRID, "--jobs", str(jobs)]
                times[jobs].append(run(command, work, work / "store"))
                students.add(digest(work / "runs"))
                print(number, jobs, times[jobs][-1], flush=True)
                shutil.rmtree(work)
    (HERE / "jobs.md").write_text(page(times, len(students) == 1, options))


def run(arguments: Sequence[str], work: Path, store: Path) -> tuple[float, float]:
    """Run a command of mtkd in a folder; return its wall time and CPU time in seconds."""
    before, started = cpu_seconds(), time.monotonic()
    command = [sys.executable, "-m", "mtkd_cli", *arguments]
    environment = os.environ | {"MTKD_STORE": str(store)}
    subprocess.run(command, cwd=work, env=environment, check=True, capture_output=True)
    return time.monotonic() - started, cpu_seconds() - before


def cpu_seconds() -> float:
    """Return the CPU time of all ended child processes."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def digest(runs: Path) -> str:
    """Return a digest of the names and weights of all students."""
    found = hashlib.sha256()
    for path in sorted(runs.glob("*/student.safetensors")):
        found.update(path.parent.name.encode() + path.read_bytes())
    return found.hexdigest()


def page(times: dict[int, list[tuple[float, float]]], same: bool, options: argparse.Namespace) -> str:
    first, *_, last = times.values()
    faster = [one[0] / several[0] for one, several in zip(first, last, strict=True)]
    more = [several[1] / one[1] for one, several in zip(first, last, strict=True)]
    header = ["--jobs", "seconds, by round", "CPU seconds, by round"]
    rows = [
        [jobs, *(", ".join(f"{pair[column]:.0f}" for pair in found) for column in (0, 1))]
        for jobs, found in times.items()
    ]
    command = " ".join(["python docs/benchmarks/jobs.py", *sys.argv[1:]])
    ratios = ", ".join(f"{each:.2f}" for each in faster)
    grid = " ".join([options.recipe, *options.changes, *GRID])
    return f"""# Several students at a time

```
{command}
```

{versions()}; load of the machine in the last 15 minutes: {os.getloadavg()[2]:.1f}.

`mtkd compare {grid}`: six students with their baselines, from one recording.

{markdown(header, rows)}

- `--jobs {options.jobs}` is **{statistics.median(faster):.2f} times faster** (rounds: {ratios}).
- It uses {statistics.median(more):.2f} times the CPU time: each process imports torch and loads the data.
- All students are {"equal to the bit" if same else "NOT equal"}.

If the load above is larger than about 1.5, other programs ran too. Each process then gets a share of the
cores, and several get several shares, so the ratio says less about a quiet machine.
"""


if __name__ == "__main__":
    main()
