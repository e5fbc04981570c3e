"""Measure the cost of teachers: recorded outputs, no teachers, a hand-written loop and torchdistill.

    python docs/benchmarks/recording.py --data FOLDER_OF_IDX_FILES

Every loop trains the same student on the same samples with the same optimizer, or runs the same teachers.
The loops run in turns, in a new order each round. `pip install --no-deps torchdistill==1.1.5 scipy` adds
torchdistill. Writes `recording.md` and `../images/recording.svg` (matplotlib), and saves fitted teachers
in --work. With --views 4 every loop uses augmentation, and the page is `recording-4-views.md`, without a
plot. --only recording measures the section on recording again, and keeps the other results.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import itertools
import json
import os
import random
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import memory
import numpy as np
import torch
from in_process import distil
from recording_bench import ARCHITECTURES, BATCH, COUNTS, Bench, prepare, recorded_by
from recording_loops import alone, by_hand, eager, warm, with_torchdistill
from recording_page import page, plot
from tables import versions
from torch import nn

from mtkd_cli.training.loop import steps_per_epoch

HERE = Path(__file__).resolve().parent


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--data", required=True, help="folder of the gzipped IDX files")
    parser.add_argument(
        "--work", default="recording-benchmark", help="store for fitted teachers and recorded outputs"
    )
    parser.add_argument("--samples", type=int, default=2048, help="samples per epoch")
    parser.add_argument("--views", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=5, help="rounds; the fast loops run four times as many")
    parser.add_argument("--direct", type=int, default=2, help="number of complete first runs of 30 epochs")
    parser.add_argument("--threads", type=int, default=0, help="0: the default of torch")
    parser.add_argument(
        "--cpu-time", action="store_true", help="measure processor time; for a busy machine, with --threads 1"
    )
    parser.add_argument("--only", choices=["recording"], help="measure only this section")
    options = parser.parse_args()
    os.environ["MTKD_STORE"] = str(Path(options.work).resolve())
    threads = options.threads or torch.get_num_threads()
    torch.set_num_threads(1)  # the number of threads changes the fitted teachers
    clock = time.process_time if options.cpu_time else time.perf_counter
    count = len(ARCHITECTURES) if options.only else max(COUNTS)
    bench = prepare(options.data, options.samples, options.views, count, clock)
    torch.set_num_threads(threads)
    name = "recording" if options.views == 1 else f"recording-{options.views}-views"
    kept = {**vars(options), "threads": threads, "data": "", "work": "", "versions": versions()}
    results = {
        "recording": in_turns(recorders(bench), options.rounds),
        "differences": [differences(bench, k) for k in range(len(ARCHITECTURES))],
        "recording options": kept,
    }
    if options.only:
        results = {**json.loads((HERE / f"{name}.json").read_text()), **results}
    else:
        results |= {
            "loops": in_turns(loops(bench), 4 * options.rounds),
            "sides": in_turns(sides(bench), options.rounds),
            "direct": [direct(bench) for _ in range(options.direct)],
            "forwards": teacher_forwards(),
            "memory": memory.peaks(),
            "options": kept,
        }
    (HERE / f"{name}.json").write_text(json.dumps(results, indent=1) + "\n")
    (HERE / f"{name}.md").write_text(page(results))
    if options.views == 1:
        plot(results, HERE.parent / "images" / "recording.svg")


def loops(bench: Bench) -> dict[str, Callable[[], float]]:
    """Return functions that time the loop without teachers, and mtkd's loop by number of teachers."""
    found: dict[str, Callable[[], float]] = {"alone": lambda: alone(bench, 1)}
    for count in COUNTS:
        found[f"warm {count}"] = lambda k=count: warm(bench, k, 1)
    return found


def sides(bench: Bench) -> dict[str, Callable[[], float]]:
    """Return functions that time the student without teachers, recording, and the loops with teachers."""
    found: dict[str, Callable[[], float]] = {"alone": lambda: alone(bench, 1)}
    for k in range(max(COUNTS)):
        found[f"record {k}"] = lambda k=k: recorded(bench, k, bench.fast)
    found["by hand"] = lambda: by_hand(bench)
    try:
        importlib.metadata.version("torchdistill")
    except importlib.metadata.PackageNotFoundError:
        return found
    return {**found, "torchdistill": lambda: with_torchdistill(bench)}


def recorders(bench: Bench) -> dict[str, Callable[[], float]]:
    """Return functions that time each teacher: in a plain loop, and recorded in both runtimes."""
    found: dict[str, Callable[[], float]] = {}
    for k in range(len(ARCHITECTURES)):
        found[f"eager {k}"] = lambda k=k: bench.timed(lambda: eager(bench, k))
        found[f"record {k}"] = lambda k=k: recorded(bench, k, bench.fast)
        found[f"onnx {k}"] = lambda k=k: recorded(bench, k, bench.converted)
    return found


def recorded(bench: Bench, k: int, modules: list[nn.Module]) -> float:
    return bench.timed(lambda: recorded_by(bench, k, bench.views - 1, modules))


def in_turns(found: dict[str, Callable[[], float]], rounds: int) -> dict[str, list[float]]:
    """Run every function once per round, in a new order, and ``alone`` three times; return medians by round.

    The first round is a warm-up.
    """
    times: dict[str, list[float]] = {name: [] for name in found}
    for number in range(rounds + 1):
        turns = [*found, *(name for name in found if name == "alone" for _ in range(2))]
        seconds: dict[str, list[float]] = {name: [] for name in found}
        for name in random.Random(number).sample(turns, len(turns)):
            seconds[name].append(found[name]())
        if number:
            for name, each in seconds.items():
                times[name].append(statistics.median(each))
        shown = {name: round(statistics.median(each), 3) for name, each in seconds.items()}
        print(f"round {number} of {rounds}: {shown}", flush=True)
    return times


def direct(bench: Bench) -> dict[str, float]:
    """Time a complete first run, three teachers and 30 epochs, and the student without teachers."""

    def record_all() -> None:
        for k, number in itertools.product(range(3), range(bench.views)):
            recorded_by(bench, k, number, bench.fast)

    return {"first run": bench.timed(record_all) + warm(bench, 3, 30), "alone": alone(bench, 30)}


def differences(bench: Bench, k: int) -> dict[str, float]:
    """Return the largest differences of teacher k to its eager outputs, as computed and as saved."""
    number = bench.views - 1
    plain = eager(bench, k)
    with torch.inference_mode():
        parts = np.array_split(np.arange(bench.samples), steps_per_epoch(bench.samples, BATCH))
        fast, converted = (
            torch.cat([modules[k](bench.shown(part, number)) for part in parts])
            for modules in (bench.fast, bench.converted)
        )
    kept = bench.arrays[k]["train", number][:]
    return {
        "computed": (fast - plain).abs().max().item(),
        "onnx": (converted - plain).abs().max().item(),
        "kept": (kept - plain).abs().max().item(),
        "largest": plain.abs().max().item(),
        "same class": (kept.argmax(1) == plain.argmax(1)).float().mean().item(),
    }


def teacher_forwards() -> list[int]:
    """Count the teachers' forward passes in a first run and in a second run with other settings."""
    from mtkd_teachers.resnet import SmallResNet

    counts = []
    teachers = [f"teachers.{k}.model=resnet:8-{4 + k}" for k in range(3)]
    small = [*teachers, "fit.epochs=2", "train.epochs=2", "train.lr=0.01"]
    changed = ["strategy=confidence", "loss.temperature=4", "student=mlp:8", "train.seed=1"]
    kept = os.environ["MTKD_STORE"]
    with tempfile.TemporaryDirectory() as os.environ["MTKD_STORE"]:
        for change in (["student=mlp:16"], changed):
            seen: list[nn.Module] = []

            def count(module: nn.Module, *_: object, seen: list[nn.Module] = seen) -> None:
                if isinstance(module, SmallResNet):
                    seen.append(module)

            hook = nn.modules.module.register_module_forward_hook(count)
            distil("digits", [*small, *change], baseline=False)
            hook.remove()
            counts.append(len(seen))
    os.environ["MTKD_STORE"] = kept
    return counts


if __name__ == "__main__":
    main()
