"""What teachers cost: recorded outputs against the student alone, a hand-written loop and torchdistill.

    python docs/benchmarks/recording.py --data FOLDER_OF_IDX_FILES

Every side trains the same student on the same samples with the same optimizer, or asks the same teachers;
the sides take turns in a new order each round. `pip install --no-deps torchdistill==1.1.5 scipy` adds
torchdistill. Writes `recording.md` and `../images/recording.svg` (matplotlib), and keeps fitted teachers
in --work. With --views 4 every side augments, and the page is `recording-4-views.md`, without a plot.
"""

from __future__ import annotations

import argparse
import copy
import importlib.metadata
import itertools
import json
import os
import random
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import memory
import numpy as np
import torch
import torch.nn.functional as F
from in_process import distil
from tables import markdown, versions
from torch import Tensor, nn
from torch.nn.utils import clip_grad_norm_
from torch.utils.data import DataLoader, Dataset, RandomSampler
from torchvision import transforms

from mtkd_cli import pipeline, record
from mtkd_cli.aggregate import Strategy
from mtkd_cli.context import Context
from mtkd_cli.distill import Evaluation, steps_per_epoch, train
from mtkd_cli.fit import fitted
from mtkd_cli.models import load_teacher, prepared
from mtkd_cli.objectives import Batches, FromTeachers
from mtkd_cli.optimise import optimizer_of, schedule_of
from mtkd_cli.plugins import discover
from mtkd_cli.preprocess import Prepared
from mtkd_cli.progress import Progress
from mtkd_cli.read_recipe import read
from mtkd_cli.recorded import Layout, Recorded
from mtkd_cli.resolve import resolve
from mtkd_cli.students import build
from mtkd_cli.teachers import ReadyTeacher, answers, train_view, who_is
from mtkd_cli.views import view

HERE = Path(__file__).resolve().parent
ARCHITECTURES = ("resnet:20-8", "resnet:32-8", "resnet:56-8")
COUNTS = (1, 2, 3, 4, 8)
EPOCHS = (1, 5, 30)
BATCH = 128

RECIPE = """
task: classification
data: {{name: fashion-mnist, path: "{path}", samples: {samples}, val: 0.2}}
fit: {{train: all, labels: all, epochs: 1, batch_size: 64, lr: 5e-3}}
teachers:
{teachers}
strategy: mean
student: resnet:8-8
augment: {augment}
views: {views}
loss: {{temperature: 2, kd_ratio: 0.5}}
train: {{epochs: 30, batch_size: {batch}, lr: 3e-3}}
"""


@dataclass(frozen=True)
class Bench:
    """The data, the plain and the recording form of each teacher, and what they recorded."""

    context: Context
    views: int
    who: list[dict[str, Any]]
    models: list[nn.Module]
    fast: list[nn.Module]
    arrays: list[dict[tuple[str, int], Recorded]]
    clock: Callable[[], float]

    def timed(self, call: Callable[[], object]) -> float:
        started = self.clock()
        call()
        return self.clock() - started

    @property
    def samples(self) -> int:
        return len(self.context.data.train)

    def shown(self, indices: np.ndarray, epoch: int) -> Tensor:
        """Return the views of an epoch."""
        split, recipe = self.context.data.train, self.context.recipe
        images, ids = split.samples.images(indices), split.id_numbers[indices]
        return view(images, ids, train_view(epoch, self.views), recipe.views.seed, recipe.augment)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--data", required=True, help="folder of the gzipped IDX files")
    parser.add_argument(
        "--work", default="recording-benchmark", help="store of the fitted teachers and what they record"
    )
    parser.add_argument("--samples", type=int, default=2048, help="in an epoch")
    parser.add_argument("--views", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=5, help="the fast loops alone: four times as many")
    parser.add_argument("--direct", type=int, default=2, help="whole first runs of 30 epochs")
    parser.add_argument("--threads", type=int, default=0, help="0: as many as torch takes")
    parser.add_argument("--cpu-time", action="store_true", help="for a busy machine, with --threads 1")
    options = parser.parse_args()
    os.environ["MTKD_STORE"] = str(Path(options.work).resolve())
    threads = options.threads or torch.get_num_threads()
    torch.set_num_threads(1)  # teachers that are fitted with other threads are other teachers
    clock = time.process_time if options.cpu_time else time.perf_counter
    bench = prepare(options.data, options.samples, options.views, clock)
    torch.set_num_threads(threads)
    results = {
        "loops": in_turns(loops(bench), 4 * options.rounds),
        "sides": in_turns(sides(bench), options.rounds),
        "direct": [direct(bench) for _ in range(options.direct)],
        "differences": [differences(bench, k) for k in range(len(ARCHITECTURES))],
        "forwards": teacher_forwards(),
        "memory": memory.peaks(),
        "options": {**vars(options), "threads": threads, "data": "", "work": ""},
    }
    name = "recording" if options.views == 1 else f"recording-{options.views}-views"
    (HERE / f"{name}.json").write_text(json.dumps(results, indent=1) + "\n")
    (HERE / f"{name}.md").write_text(page(results))
    if options.views == 1:
        plot(results, HERE.parent / "images" / "recording.svg")


def prepare(path: str, samples: int, views: int, clock: Callable[[], float]) -> Bench:
    """Fit the teachers, one epoch each, and record every view that the student will see."""
    lines = [
        f"  - {{name: t{k}, model: '{ARCHITECTURES[k % 3]}', fit: {{seed: {k // 3}}}}}"
        for k in range(max(COUNTS))
    ]
    text = RECIPE.format(
        path=path,
        samples=samples * 5 // 4,
        teachers="\n".join(lines),
        augment="{flip: true, shift: 0.1}" if views > 1 else "{}",
        views=views,
        batch=BATCH,
    )
    with tempfile.TemporaryDirectory() as folder:
        recipe = Path(folder) / "recipe.yaml"
        recipe.write_text(text)
        registry = discover(third_party=False)
        parts = resolve(read(str(recipe), [], registry)[0], registry, str(recipe))
    context = pipeline.prepare(parts, "cpu", Progress())
    who, models, fast = [], [], []
    for teacher, part in zip(context.recipe.teachers, context.parts.teachers, strict=True):
        who.append(who_is(teacher, part, context))
        untouched = load_teacher(part, teacher, context.data, context.task.outputs)
        model = fitted(untouched, who[-1]["fit"], teacher, context)
        # A copy in the default memory format, as a loop without mtkd would have it.
        plain = copy.deepcopy(model.module).to(memory_format=torch.contiguous_format)
        models.append(Prepared(plain, model.input).eval().requires_grad_(False))
        fast.append(record.for_recording(model, some_views(context), context.device)[0])
    bench = Bench(context, views, who, models, fast, [{} for _ in fast], clock)
    for k, number in itertools.product(range(len(fast)), range(views)):
        bench.arrays[k]["train", number] = recorded_by(bench, k, number)
    return bench


def some_views(context: Context) -> Tensor:
    split = context.data.val
    return view(split.samples.images(slice(4)), split.id_numbers[:4], 0, 0, context.recipe.augment)


def loops(bench: Bench) -> dict[str, Callable[[], float]]:
    """Return the student alone, and mtkd's loop for each number of teachers: calls that return seconds."""
    found: dict[str, Callable[[], float]] = {"alone": lambda: alone(bench, 1)}
    for count in COUNTS:
        found[f"warm {count}"] = lambda k=count: warm(bench, k, 1)
    return found


def sides(bench: Bench) -> dict[str, Callable[[], float]]:
    """Return the student alone, each teacher's pass, and the loops that ask teachers."""
    found: dict[str, Callable[[], float]] = {"alone": lambda: alone(bench, 1)}
    for k in range(max(COUNTS)):
        found[f"record {k}"] = lambda k=k: bench.timed(lambda: recorded_by(bench, k, bench.views - 1))
    for k in range(len(ARCHITECTURES)):
        found[f"eager {k}"] = lambda k=k: bench.timed(lambda: eager(bench, k))
    found["by hand"] = lambda: by_hand(bench)
    try:
        importlib.metadata.version("torchdistill")
    except importlib.metadata.PackageNotFoundError:
        return found
    return {**found, "torchdistill": lambda: with_torchdistill(bench)}


def in_turns(found: dict[str, Callable[[], float]], rounds: int) -> dict[str, list[float]]:
    """Run every side in another order each round, the student alone three times; return medians by round.

    A first round warms up.
    """
    times: dict[str, list[float]] = {name: [] for name in found}
    for number in range(rounds + 1):
        turns = [*found, "alone", "alone"]
        seconds: dict[str, list[float]] = {name: [] for name in found}
        for name in random.Random(number).sample(turns, len(turns)):
            seconds[name].append(found[name]())
        if number:
            for name, each in seconds.items():
                times[name].append(statistics.median(each))
        shown = {name: round(statistics.median(each), 3) for name, each in seconds.items()}
        print(f"round {number} of {rounds}: {shown}", flush=True)
    return times


def alone(bench: Bench, epochs: int) -> float:
    """Train the student on labels: the tightest loop that does what has to be done."""
    settings, samples = bench.context.recipe.train, bench.samples
    module = prepared(build(bench.context)).train()
    targets = torch.from_numpy(bench.context.data.train.samples.targets)

    def run() -> None:
        optimizer = optimizer_of(module, settings)
        schedule = schedule_of(optimizer, steps_per_epoch(samples, BATCH) * epochs, settings)
        for epoch in range(epochs):
            for indices in torch.randperm(samples).split(BATCH):
                loss = F.cross_entropy(module(bench.shown(indices.numpy(), epoch)), targets[indices])
                optimizer.zero_grad()
                loss.backward()
                clip_grad_norm_(module.parameters(), settings.clip)
                optimizer.step()
                schedule.step()

    return bench.timed(run)


def warm(bench: Bench, count: int, epochs: int) -> float:
    """Train the student with mtkd's loop on the recorded outputs of the first ``count`` teachers."""
    context, recipe = bench.context, bench.context.recipe
    split = context.data.train
    columns = tuple(range(context.task.outputs))
    teachers = [ReadyTeacher(f"t{k}", "", columns, {}, bench.arrays[k]) for k in range(count)]
    names = tuple(teacher.name for teacher in teachers)
    batches = Batches(context.task, split, names, (None,) * count, recipe.loss.temperature, 0)
    objective = FromTeachers(
        context.task,
        Strategy(context.parts.strategy),
        answers(teachers, bench.views, context.device),
        batches,
        torch.from_numpy(split.samples.targets),
        recipe.loss.temperature,
        recipe.loss.kd_ratio,
    )
    module = prepared(build(context))
    steps = steps_per_epoch(len(split), BATCH) * epochs

    def unmeasured(module: nn.Module) -> Evaluation:
        return Evaluation((0.0,), {}, module)

    return bench.timed(
        lambda: train(
            module,
            len(split),
            bench.shown,
            objective,
            unmeasured,
            recipe.train,
            steps,
            steps,
            context.progress,
        )
    )


def recorded_by(bench: Bench, k: int, number: int) -> Recorded:
    """Record one view of the training samples by teacher k, into a new array."""
    context = bench.context
    key = record.key({**bench.who[k], "again": time.time_ns()}, context.data.train, number, context.recipe)
    return record.record(
        f"t{k}",
        bench.fast[k],
        key,
        Layout(context.task.outputs, "fp16"),
        context.data.train,
        number,
        context.recipe,
        context.data.input.size or 28,
        context.device,
        lambda _: None,
        print,
    )


def eager(bench: Bench, k: int) -> Tensor:
    """Ask teacher k as a loop without mtkd would: batches of the student's size, the default format."""
    parts = np.array_split(np.arange(bench.samples), steps_per_epoch(bench.samples, BATCH))
    with torch.no_grad():
        return torch.cat([bench.models[k](bench.shown(part, bench.views - 1)) for part in parts])


class Images(Dataset):
    """The training samples as PIL images, transformed one by one."""

    def __init__(self, bench: Bench) -> None:
        self.samples = bench.context.data.train.samples
        augment = [transforms.RandomHorizontalFlip(), transforms.RandomAffine(0, translate=(0.1, 0.1))]
        self.transform = transforms.Compose(
            [
                transforms.ToPILImage(),
                *(augment if bench.views > 1 else []),
                transforms.ToTensor(),
            ]
        )

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        image = torch.from_numpy(self.samples.images(np.array([index]))[0])
        return self.transform(image), int(self.samples.targets[index])


def by_hand(bench: Bench) -> float:
    """Train one epoch as most people write it: a DataLoader, and the three teachers in the loop."""
    settings, temperature = bench.context.recipe.train, bench.context.recipe.loss.temperature
    module = plain_student(bench)
    optimizer = torch.optim.AdamW(module.parameters(), lr=settings.lr[0])
    loader = DataLoader(Images(bench), BATCH, shuffle=True)

    def run() -> None:
        for images, target in loader:
            with torch.no_grad():
                soft = [F.softmax(teacher(images) / temperature, dim=1) for teacher in bench.models[:3]]
            output = module(images)
            kd = F.kl_div(F.log_softmax(output / temperature, dim=1), sum(soft) / 3, reduction="batchmean")
            loss = 0.5 * F.cross_entropy(output, target) + 0.5 * temperature**2 * kd
            optimizer.zero_grad()
            loss.backward()
            clip_grad_norm_(module.parameters(), settings.clip)
            optimizer.step()

    return bench.timed(run)


def plain_student(bench: Bench) -> nn.Module:
    model = build(bench.context)
    return Prepared(model.module.to(memory_format=torch.contiguous_format), model.input).train()


class Ensemble(nn.Module):
    """The mean of the teachers' logits, as torchdistill's one teacher."""

    def __init__(self, teachers: list[nn.Module]) -> None:
        super().__init__()
        self.teachers = nn.ModuleList(teachers)

    def forward(self, images: Tensor) -> Tensor:
        return torch.stack([teacher(images) for teacher in self.teachers]).mean(dim=0)


def with_torchdistill(bench: Bench) -> float:
    """Train one epoch with torchdistill's box, its own loader over the same images, and KDLoss."""
    from torchdistill.common.constant import def_logger
    from torchdistill.core.distillation import get_distillation_box

    def_logger.setLevel("ERROR")
    settings = bench.context.recipe.train
    criterion = {
        "key": "KDLoss",
        "kwargs": {
            "student_module_path": ".",
            "student_module_io": "output",
            "teacher_module_path": ".",
            "teacher_module_io": "output",
            "temperature": bench.context.recipe.loss.temperature,
            "alpha": 0.5,
        },
    }
    config = {
        "num_epochs": 1,
        "train_data_loader": {
            "dataset_id": "train",
            "sampler": {"class_or_func": RandomSampler},
            "kwargs": {"batch_size": BATCH, "num_workers": 0},
        },
        "teacher": {"forward_proc": "forward_batch_only", "requires_grad": False},
        "student": {"forward_proc": "forward_batch_only"},
        "optimizer": {"key": "AdamW", "kwargs": {"lr": settings.lr[0]}, "max_grad_norm": settings.clip},
        "criterion": {
            "key": "WeightedSumLoss",
            "kwargs": {"sub_terms": {"kd": {"criterion": criterion, "weight": 1.0}}},
        },
    }
    ensemble = Ensemble(copy.deepcopy(bench.models[:3])).eval()
    device = torch.device("cpu")
    box = get_distillation_box(
        ensemble, plain_student(bench), {"train": Images(bench)}, config, device, None, False, 1
    )

    def run() -> None:
        box.pre_epoch_process(epoch=0)
        for images, target, extra in box.train_data_loader:
            loss = box.forward_process(images, targets=target, supp_dict=extra)
            box.post_forward_process(loss=loss)
        box.post_epoch_process()

    return bench.timed(run)


def direct(bench: Bench) -> dict[str, float]:
    """Time a whole first run, three teachers and 30 epochs, and the student alone."""

    def record_all() -> None:
        for k, number in itertools.product(range(3), range(bench.views)):
            recorded_by(bench, k, number)

    return {"first run": bench.timed(record_all) + warm(bench, 3, 30), "alone": alone(bench, 30)}


def differences(bench: Bench, k: int) -> dict[str, float]:
    """Return the largest difference of teacher k to its eager answers: as computed, and as kept."""
    number = bench.views - 1
    plain = eager(bench, k)
    with torch.inference_mode():
        parts = np.array_split(np.arange(bench.samples), steps_per_epoch(bench.samples, BATCH))
        fast = torch.cat([bench.fast[k](bench.shown(part, number)) for part in parts])
    kept = bench.arrays[k]["train", number][:]
    return {
        "computed": (fast - plain).abs().max().item(),
        "kept": (kept - plain).abs().max().item(),
        "largest": plain.abs().max().item(),
        "same class": (kept.argmax(1) == plain.argmax(1)).float().mean().item(),
    }


def teacher_forwards() -> list[int]:
    """Count the forward passes of residual nets, all teachers, in a run and in a second, different one."""
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


def ratios(times: dict[str, list[float]], *names: str) -> list[float]:
    """Return the sum of some sides in units of the student alone, by round."""
    return [sum(times[name][i] for name in names) / one_epoch for i, one_epoch in enumerate(times["alone"])]


def gain(times: dict[str, list[float]], teachers: Sequence[int]) -> list[float]:
    """Return the throughput of recording some teachers over that of the eager ones, by round."""
    recorded, asked = (ratios(times, *(f"{what} {k}" for k in teachers)) for what in ("record", "eager"))
    return [e / r for e, r in zip(asked, recorded, strict=True)]


def first_run(results: dict, count: int, epochs: int, views: int = 1) -> float:
    """Return a first run of so many epochs over that many epochs of the student alone."""
    recording = statistics.median(ratios(results["sides"], *(f"record {k}" for k in range(count))))
    return (
        statistics.median(ratios(results["loops"], f"warm {count}")) + min(views, epochs) * recording / epochs
    )


def spread(values: list[float], digits: int = 2) -> str:
    """Return the median with the smallest and the largest."""
    low, middle, high = (
        f"{value:.{digits}f}" for value in (min(values), statistics.median(values), max(values))
    )
    return f"{middle} ({low} to {high})"


def aim(value: float, most: float) -> str:
    return f"at most {most}" + ("" if value <= most else ", missed")


def page(results: dict) -> str:
    """Return the page."""
    times, options = results["sides"], argparse.Namespace(**results["options"])
    views = options.views
    three, eight = (first_run(results, count, 30, views) for count in (3, 8))
    warm_three, all_gains = ratios(results["loops"], "warm 3"), gain(times, range(3))
    loops = [
        ["student alone, the tightest loop", "1", ""],
        [
            "mtkd, outputs recorded, 3 teachers",
            spread(warm_three, 3),
            aim(statistics.median(warm_three), 1.05),
        ],
        ["mtkd, first run of 30 epochs, 3 teachers", f"{three:.3f}", aim(three, 1.15)],
        ["mtkd, first run of 30 epochs, 8 teachers", f"{eight:.3f}", aim(eight, 1.35)],
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
            spread(gain(times, [k])),
            f"{found['computed']:.1e}",
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
        versions=versions(),
        torchdistill=f"torchdistill {importlib.metadata.version('torchdistill')}"
        if "torchdistill" in times
        else "torchdistill not installed, not measured",
        threads=f"{options.threads} thread{'s' * (options.threads > 1)}"
        + (", processor time, because the machine did other work too" if options.cpu_time else ""),
        samples=options.samples,
        batch=BATCH,
        teachers=", ".join(ARCHITECTURES),
        milliseconds=spread(
            [1000 * t / steps_per_epoch(options.samples, BATCH) for t in results["loops"]["alone"]], 1
        ),
        augment="Every side flips and shifts its images." if views > 1 else "No side augments.",
        rounds=options.rounds,
        fast_rounds=len(results["loops"]["alone"]),
        loops=markdown(["loop", "cost", "aim"], loops),
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
        gain=spread(all_gains),
        gain_missed="" if statistics.median(all_gains) >= 1.8 else ", missed",
        exact=markdown(
            ["teacher", "throughput", "difference, computed", "kept", "largest answer", "same class"], exact
        ),
        forwards=results["forwards"],
        memory=results["memory"],
        times=results["memory"][1] / results["memory"][0],
        model=memory.MODEL,
    )


LIVE = {
    "by hand": "hand-written loop with 3 teachers in it",
    "torchdistill": "loop of torchdistill with an ensemble of 3 teachers",
}

PAGE = """# What recorded teachers cost{title}

```
python docs/benchmarks/recording.py --data FOLDER_OF_IDX_FILES{arguments}
```

{versions}, {torchdistill}; {threads}.

Fashion-MNIST, {samples:,} images an epoch, batches of {batch}. Teachers: {teachers}; beyond three, the
same with other seeds. Student: resnet:8-8, whose step alone takes {milliseconds} ms. {augment}
The sides take turns, in a new order each round: {rounds} rounds, and {fast_rounds} of the student alone
and mtkd's loop. Ratios are taken within a round, in which the student alone comes three times and its median
counts; a number with brackets is the median with the smallest and the largest.

## Training

Time of an epoch, in units of the student alone.

{loops}

A first run of 30 epochs is {faster}.

The student alone gets all that mtkd's loop has: images packed in memory, views made in batches, channels
last, the same optimizer, clipping and schedule. Its loss is the cross-entropy to the labels; mtkd reads the
teachers' outputs from the memory map, merges them and adds their divergence. The other two loops make a PIL
image of each sample in a `DataLoader` without workers (they would take the cores from the teachers), in the
default memory format. No side evaluates.

## A first run, by teachers and epochs

(epochs × recorded epoch + recording) / (epochs × student alone). Only training samples are recorded here; a
run also records its validation and test samples, once.

{grid}
{plot}
Timed as a whole, 3 teachers and 30 epochs: {direct}; by the formula {formula}.

## Recording

Throughput of recording, checksums and writing included, over that of the same teachers in a loop (batches of
{batch}, default memory format, `eval`, `no_grad`): {gain} for the three together; the aim is
1.8{gain_missed}. Differences are to that loop's answers, over all samples: as computed, and kept in 16 bits.

{exact}

A second run with another strategy, temperature, student and seed of training: {forwards[1]} forward passes of
teachers; the first run: {forwards[0]}.

## Memory

`python docs/benchmarks/memory.py`: peak memory of recording {model} teachers on digits,
{memory[2]:.0f} MiB of weights each: {memory[0]:.0f} MiB with 1, {memory[1]:.0f} MiB with 8,
{times:.2f} times; the aim is at most 1.2.
"""


def plot(results: dict, path: Path) -> None:
    """Draw the cost of a first run against the number of teachers, a line for each number of epochs."""
    times = results["sides"]
    import matplotlib as mpl
    from matplotlib.figure import Figure

    mpl.rcParams.update({"svg.hashsalt": "mtkd", "font.size": 10, "axes.spines.top": False})
    mpl.rcParams.update({"axes.spines.right": False, "svg.fonttype": "none"})
    figure = Figure(figsize=(6.4, 3.8), layout="constrained")
    axes = figure.subplots()
    for epochs, colour in zip(EPOCHS, ("#9ecae1", "#4292c6", "#08519c"), strict=True):
        costs = [first_run(results, count, epochs) for count in COUNTS]
        label = f"mtkd, first run, {epochs} epoch{'s' * (epochs > 1)}"
        axes.plot(COUNTS, costs, marker="o", color=colour, label=label)
    for (name, loop), marker in zip(LIVE.items(), "s^", strict=True):
        if name in times:
            cost = statistics.median(ratios(times, name))
            axes.plot([3], [cost], marker, color="#d94801", label=loop)
    axes.axhline(1, color="grey", linewidth=0.8)
    axes.set(xlabel="teachers", ylabel="cost / student alone", xticks=COUNTS, ylim=(0, None))
    axes.legend(frameon=False, fontsize=9)
    path.parent.mkdir(exist_ok=True)
    figure.savefig(path, metadata={"Date": None})


if __name__ == "__main__":
    main()
