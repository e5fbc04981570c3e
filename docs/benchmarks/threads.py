"""Measure training steps with one thread, with all threads, and with the number that mtkd chooses.

python docs/benchmarks/threads.py

Trains every model of the built-in recipes for a few steps, on a quiet machine and beside a process that uses
one core, in turns. A second table has the same with the spinning of GCC's OpenMP runtime as it is without
mtkd. Writes threads.md. Fashion-MNIST is included with --fashion FOLDER.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from tables import markdown, versions

from mtkd_cli.__main__ import SPIN_COUNT

HERE = Path(__file__).parent
RECIPES = ("diabetes", "digits", "digit-scenes-seg", "digit-scenes-det")
SPIN = {"mtkd's spinning": {"GOMP_SPINCOUNT": SPIN_COUNT}, "default spinning": {}}
"""Environment by name of a table."""


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--recipes", nargs="+", default=list(RECIPES))
    parser.add_argument("--fashion", default="", help="folder of the Fashion-MNIST files")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=0.3, help="minimum time of one measurement")
    parser.add_argument("--measure", default="", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        print(json.dumps(measure(options.measure, options.fashion, options.rounds, options.seconds)))
        return
    recipes = [*options.recipes, *(["fashion-mnist"] if options.fashion else [])]
    tables = {name: [row for recipe in recipes for row in rows(recipe, options, name)] for name in SPIN}
    (HERE / "threads.md").write_text(page(tables, options))


def rows(recipe: str, options: argparse.Namespace, spin: str) -> list[list[str]]:
    """Return a row for each model of a recipe, measured in a new process."""
    numbers = ["--rounds", str(options.rounds), "--seconds", str(options.seconds)]
    command = [sys.executable, __file__, "--measure", recipe, "--fashion", options.fashion, *numbers]
    environment = {key: value for key, value in os.environ.items() if key not in ("OMP_NUM_THREADS",)}
    done = subprocess.run(
        command, env=environment | SPIN[spin], check=True, stdout=subprocess.PIPE, text=True
    )
    found = [row(recipe, *model) for model in json.loads(done.stdout.splitlines()[-1])]
    for each in found:
        print(spin, *each, sep=" | ", flush=True)
    return found


def row(recipe: str, name: str, macs: float, chosen: int, times: dict[str, list[list[float]]]) -> list[str]:
    """Return the ratios of one model, by median over rounds.

    Args:
        recipe: name of the recipe.
        name: name of the model.
        macs: multiply-adds of a step.
        chosen: number of threads that mtkd chooses.
        times: wall and CPU seconds of a step in each round, by ``one`` or ``all``, and ``quiet`` or ``busy``.
    """

    def ratio(first: str, second: str, column: int) -> str:
        pairs = zip(times[first], times[second], strict=True)
        return f"{statistics.median(a[column] / b[column] for a, b in pairs):.2f}"

    own = "one" if chosen == 1 else "all"
    return [
        recipe,
        name,
        f"{macs / 1e6:,.1f}",
        str(chosen),
        ratio("all quiet", "one quiet", 0),
        ratio("all busy", "one busy", 1),
        ratio("all busy", "all quiet", 0),
        ratio(f"{own} busy", f"{own} quiet", 0),
    ]


def measure(recipe: str, fashion: str, rounds: int, seconds: float) -> list[object]:
    """Return name, multiply-adds, chosen threads and times of each model that a recipe trains."""
    import torch
    from in_process import loaded

    from mtkd_cli.distributed.threads import Threads
    from mtkd_cli.models.cost import count_macs
    from mtkd_cli.models.preprocess import with_preprocessing
    from mtkd_cli.runs.students import build_untrained
    from mtkd_cli.teachers.load import load_teacher
    from mtkd_cli.teachers.probe import sample_views
    from mtkd_cli.teachers.resolved_teacher import resolve_teachers
    from mtkd_cli.training.step_threads import step_macs

    context = loaded(recipe, [f"data.path={fashion}"] if recipe == "fashion-mnist" else [])
    models = {"student": (build_untrained(context), context.recipe.train.batch_size)}
    for teacher in resolve_teachers(context):
        model = load_teacher(teacher.part, teacher.entry, context.data, context.task)
        models[teacher.name] = model, teacher.entry.fit.batch_size
    found: list[object] = []
    with busy_process() as busy:
        for name, (model, batch) in models.items():
            module = with_preprocessing(model)
            macs = step_macs(count_macs(module, sample_views(context.data.train)), 0.0, batch, 1)
            step = step_of(module, context, batch)
            times: dict[str, list[list[float]]] = {}
            for _ in range(rounds):
                for who, threads in (("one", 1), ("all", os.cpu_count() or 1)):
                    torch.set_num_threads(threads)
                    for place in ("quiet", "busy"):
                        busy(place == "busy")
                        times.setdefault(f"{who} {place}", []).append(timed(step, seconds))
            found.append([name, macs, Threads(os.cpu_count() or 1).of_step(macs), times])
    return found


def step_of(module, context, batch: int) -> Callable[[], None]:
    """Return a function that trains a module for one step on labels."""
    import numpy as np
    import torch

    from mtkd_cli.training.loop import Step
    from mtkd_cli.training.objectives import FromLabels

    split = context.data.all_labels
    rows = split.labeled[np.arange(batch) % len(split.labeled)]
    data = context.training_data(split, rows, view_count=1)
    step = Step(0, 0, 0.0, np.arange(batch))
    views, objective = data.views(step), FromLabels(data)
    optimizer = torch.optim.AdamW(module.train().parameters())

    def run() -> None:
        loss = objective(module(views), step).total
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return run


def timed(step: Callable[[], None], seconds: float) -> list[float]:
    """Return wall and CPU seconds of a step; steps are repeated for at least ``seconds``."""
    step()
    began, used, count = time.perf_counter(), time.process_time(), 0
    while not count or time.perf_counter() - began < seconds:
        step()
        count += 1
    return [(time.perf_counter() - began) / count, (time.process_time() - used) / count]


@contextlib.contextmanager
def busy_process() -> Iterator[Callable[[bool], None]]:
    """Start a process that uses one core while it is switched on; yield the switch."""
    process = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        yield lambda on: process.send_signal(signal.SIGCONT if on else signal.SIGSTOP)
    finally:
        process.kill()
        process.wait()


def page(tables: dict[str, list[list[str]]], options: argparse.Namespace) -> str:
    header = [
        "recipe",
        "model",
        "multiply-adds of a step, millions",
        "threads chosen",
        "all threads / one, quiet",
        "CPU time of all threads / one, busy",
        "busy / quiet, all threads",
        "busy / quiet, threads chosen",
    ]
    parts = "\n\n".join(f"## With {name}\n\n{markdown(header, rows)}" for name, rows in tables.items())
    load = os.getloadavg()[2]
    return PAGE.format(versions=versions(), rounds=options.rounds, load=f"{load:.1f}", parts=parts)


PAGE = """# How many threads a training step uses

```
python docs/benchmarks/threads.py
```

{versions}; {rounds} rounds in turns, medians; load of the machine in the last 15 minutes: {load}.

Ratios of the time of a training step. *Busy*: one more process computes without end, on one core. *Quiet*:
that process is stopped. If the load above is larger than about 1.5, other programs ran too, and *quiet* was
not quiet: then only the CPU times can be compared.

{parts}

Threads of OpenMP wait for each other after each operation. They spin while they wait: with the default of
GCC's runtime for milliseconds, and the thread they wait for may not have a core for as long. `mtkd` sets
`GOMP_SPINCOUNT`, unless you set it or `OMP_WAIT_POLICY`, and a step with little work uses one thread: one for
every 500 million multiply-adds. `mtkd distill --dry-run` prints the choice, `--threads` overrides it.
The choice is a rule and not a timing, so a run repeats to the bit.

On a machine that does nothing else, a step with some hundred million multiply-adds is faster with all
threads and the default spinning, see the last rows: `GOMP_SPINCOUNT=300000 mtkd distill RECIPE --threads
2`. With other programs beside it, the same step is slower than with one thread.
"""


if __name__ == "__main__":
    main()
