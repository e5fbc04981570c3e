"""The page of the recording benchmark: ratios, tables and the plot."""

from __future__ import annotations

import argparse
import importlib.metadata
import statistics
from collections.abc import Sequence
from pathlib import Path

import memory
from recording_bench import ARCHITECTURES, BATCH, COUNTS, EPOCHS
from tables import markdown

from mtkd_cli.training.loop import steps_per_epoch


def ratios(times: dict[str, list[float]], *names: str) -> list[float]:
    """Return the summed times of some loops relative to the student without teachers, by round."""
    return [sum(times[name][i] for name in names) / one_epoch for i, one_epoch in enumerate(times["alone"])]


def gain(times: dict[str, list[float]], teachers: Sequence[int], way: str = "record") -> list[float]:
    """Return the throughput of recording some teachers relative to the eager ones, by round."""
    asked, recorded = (zip(*(times[f"{what} {k}"] for k in teachers), strict=True) for what in ("eager", way))
    return [sum(a) / sum(r) for a, r in zip(asked, recorded, strict=True)]


def first_run(results: dict, count: int, epochs: int, views: int = 1) -> float:
    """Return the time of a first run relative to the same number of epochs without teachers."""
    recording = statistics.median(ratios(results["sides"], *(f"record {k}" for k in range(count))))
    return (
        statistics.median(ratios(results["loops"], f"warm {count}")) + min(views, epochs) * recording / epochs
    )


def spread(values: list[float], digits: int = 2) -> str:
    """Return the median with the minimum and maximum."""
    low, middle, high = (
        f"{value:.{digits}f}" for value in (min(values), statistics.median(values), max(values))
    )
    return f"{middle} ({low} to {high})"


def _threads(options: argparse.Namespace) -> str:
    note = ", processor time, because the machine did other work too" if options.cpu_time else ""
    return f"{options.threads} thread{'s' * (options.threads > 1)}{note}"


def target(value: float, most: float) -> str:
    return f"at most {most}" + ("" if value <= most else ", missed")


def page(results: dict) -> str:
    """Return the page."""
    times, options = results["sides"], argparse.Namespace(**results["options"])
    views = options.views
    three, eight = (first_run(results, count, 30, views) for count in (3, 8))
    warm_three = ratios(results["loops"], "warm 3")
    recorded, kept = results["recording"], argparse.Namespace(**results["recording options"])
    all_gains, onnx_gains = gain(recorded, range(3)), gain(recorded, range(3), "onnx")
    loops = [
        ["student without teachers, minimal loop", "1", ""],
        [
            "mtkd, outputs recorded, 3 teachers",
            spread(warm_three, 3),
            target(statistics.median(warm_three), 1.05),
        ],
        ["mtkd, first run of 30 epochs, 3 teachers", f"{three:.3f}", target(three, 1.15)],
        ["mtkd, first run of 30 epochs, 8 teachers", f"{eight:.3f}", target(eight, 1.35)],
        *([loop, spread(ratios(times, name)), ""] for name, loop in LIVE.items() if name in times),
    ]
    grid = [
        [
            count,
            *(f"{first_run(results, count, epochs, views):.2f}" for epochs in EPOCHS),
            spread(ratios(results["loops"], f"warm {count}"), 3),
        ]
        for count in COUNTS
    ]
    exact = [
        [
            name,
            spread(gain(recorded, [k])),
            spread(gain(recorded, [k], "onnx")),
            f"{found['computed']:.1e}",
            f"{found['onnx']:.1e}",
            f"{found['kept']:.1e}",
            f"{found['largest']:.1f}",
            f"{found['same class']:.2%}",
        ]
        for k, (name, found) in enumerate(zip(ARCHITECTURES, results["differences"], strict=True))
    ]
    return PAGE.format(
        title=f", {views} views" if views > 1 else "",
        arguments=f"{f' --views {views}' if views > 1 else ''}"
        f"{f' --threads {options.threads} --cpu-time' if options.cpu_time else ''}",
        versions=options.versions,
        torchdistill=f"torchdistill {importlib.metadata.version('torchdistill')}"
        if "torchdistill" in times
        else "torchdistill not installed, not measured",
        threads=_threads(options),
        samples=options.samples,
        batch=BATCH,
        teachers=", ".join(ARCHITECTURES),
        milliseconds=spread(
            [1000 * t / steps_per_epoch(options.samples, BATCH) for t in results["loops"]["alone"]], 1
        ),
        augment="Every loop flips and shifts its images." if views > 1 else "No loop uses augmentation.",
        rounds=options.rounds,
        fast_rounds=len(results["loops"]["alone"]),
        loops=markdown(["loop", "cost", "target"], loops),
        faster=" and ".join(
            f"{statistics.median(ratios(times, name)) / three:.1f} times as fast as the {loop}"
            for name, loop in LIVE.items()
            if name in times
        ),
        grid=markdown(
            ["teachers", *(f"{epochs} epoch{'s' * (epochs > 1)}" for epochs in EPOCHS), "recorded"], grid
        ),
        plot="\n![Cost of a first run by number of teachers](../images/recording.svg)\n"
        if views == 1
        else "",
        direct="; ".join(
            f"{each['first run'] / each['alone']:.3f} ({each['first run']:.1f} s / {each['alone']:.1f} s)"
            for each in results["direct"]
        ),
        formula=f"{three:.3f}",
        recording_rounds=kept.rounds,
        recording_versions=kept.versions,
        recording_threads=_threads(kept),
        gain=spread(all_gains),
        onnx_gain=spread(onnx_gains),
        onnx_missed="" if statistics.median(onnx_gains) >= 1.8 else ", missed",
        exact=markdown(
            [
                "teacher",
                "torch, throughput",
                "onnx, throughput",
                "torch, difference",
                "onnx, difference",
                "torch, difference, saved",
                "largest output",
                "same class",
            ],
            exact,
        ),
        forwards=results["forwards"],
        memory=results["memory"],
        times=results["memory"][1] / results["memory"][0],
        model=memory.MODEL,
    )


LIVE = {
    "by hand": "hand-written loop with 3 teachers",
    "torchdistill": "torchdistill loop with an ensemble of 3 teachers",
}

PAGE = """# The cost of recorded teachers{title}

```
python docs/benchmarks/recording.py --data FOLDER_OF_IDX_FILES{arguments}
```

{versions}, {torchdistill}; {threads}.

Fashion-MNIST, {samples:,} images an epoch, batches of {batch}. Teachers: {teachers}; more than three
repeat these with other seeds. Student: resnet:8-8; one training step takes {milliseconds} ms. {augment}

The loops run in turns, in a new order each round: {rounds} rounds, and {fast_rounds} rounds of the
student without teachers and mtkd's loop. Ratios are computed within a round, from the median of three
runs without teachers. Numbers are medians over rounds, with the minimum and maximum in brackets.

## Training

Time of an epoch, relative to the student without teachers.

{loops}

A first run of 30 epochs is {faster}.

The loop without teachers has everything that mtkd's loop has: images packed in memory, views computed in
batches, channels last, the same optimizer, clipping and schedule. Its loss is the cross-entropy to the
labels. mtkd also reads the teachers' outputs from the memory map, merges them and adds the distillation
loss.

The other two loops create a PIL image of each sample, in a `DataLoader` without workers (which would
compete with the teachers for the cores) and in the default memory format. No loop evaluates.

## A first run, by teachers and epochs

Cost: (epochs × epoch with recorded outputs + recording) / (epochs × epoch without teachers). Here only
training samples are recorded; a run also records its validation and test samples, once. The column
`recorded` is the cost of an epoch with recorded outputs.

{grid}
{plot}
Measured directly, 3 teachers and 30 epochs: {direct}; by the formula {formula}.

## Recording

Throughput of recording, including checksums and writing, relative to the same teachers in a loop (batches of
{batch}, default memory format, `eval`, `no_grad`): {gain} for the three together, and {onnx_gain} with
`store.runtime: onnx`; the target of the latter is 1.8{onnx_missed}. The conversion to ONNX, once for each
teacher, is not included. The table shows the largest difference to the outputs of that loop over all
samples, as computed and as saved in 16 bits. {recording_versions}; {recording_rounds} rounds,
{recording_threads}.

{exact}

A second run with another strategy, temperature, student and training seed: {forwards[1]} forward passes of
teachers. The first run: {forwards[0]}.

## Memory

`python docs/benchmarks/memory.py`: peak memory of recording {model} teachers on digits, with
{memory[2]:.0f} MiB of weights each: {memory[0]:.0f} MiB with 1, {memory[1]:.0f} MiB with 8,
{times:.2f} times as much; the target is at most 1.2.
"""


def plot(results: dict, path: Path) -> None:
    """Draw the cost of a first run against the number of teachers, one line per number of epochs."""
    times = results["sides"]
    import matplotlib as mpl
    from matplotlib.figure import Figure

    mpl.rcParams.update({"svg.hashsalt": "mtkd", "font.size": 10, "axes.spines.top": False})
    mpl.rcParams.update({"axes.spines.right": False, "svg.fonttype": "none"})
    figure = Figure(figsize=(6.4, 3.8), layout="constrained")
    axes = figure.subplots()
    for epochs, color in zip(EPOCHS, ("#9ecae1", "#4292c6", "#08519c"), strict=True):
        costs = [first_run(results, count, epochs) for count in COUNTS]
        label = f"mtkd, first run, {epochs} epoch{'s' * (epochs > 1)}"
        axes.plot(COUNTS, costs, marker="o", color=color, label=label)
    for (name, loop), marker in zip(LIVE.items(), "s^", strict=True):
        if name in times:
            cost = statistics.median(ratios(times, name))
            axes.plot([3], [cost], marker, color="#d94801", label=loop)
    axes.axhline(1, color="grey", linewidth=0.8)
    axes.set(xlabel="teachers", ylabel="cost / student without teachers", xticks=COUNTS, ylim=(0, None))
    axes.legend(frameon=False, fontsize=9)
    path.parent.mkdir(exist_ok=True)
    figure.savefig(path, metadata={"Date": None})
