"""Compare mtkd's training loop on a CUDA GPU with a CUDA graph of the student alone.

python docs/benchmarks/cuda_loop.py

Both train the same student in bf16, channels last, from views that are in the device's memory. The graph
loop is the fastest plain loop that torch has: forward pass, cross-entropy, backward pass and a fused
optimizer are captured once and replayed. mtkd also reads recorded outputs, merges the teachers, checks every
loss and follows a schedule. The loops run in turns. Writes cuda.md. With --device cpu, the graph loop runs
without a graph, which only shows that the script works.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as F
from tables import markdown, versions
from torch import Tensor, nn

from mtkd_cli.plugin.registry import discover
from mtkd_cli.recipe.reader import read
from mtkd_cli.recipe.resolve import resolve
from mtkd_cli.runs import pipeline
from mtkd_cli.runs.strategy_batches import fit_strategy, make_batches
from mtkd_cli.runs.students import build_trainable, resolve_kd_ratio
from mtkd_cli.runs.view_count import count_views
from mtkd_cli.teachers.distillation_data import DistillationData, distillation_data
from mtkd_cli.teachers.prepare import prepare_teachers
from mtkd_cli.training.context import Context
from mtkd_cli.training.loop import Evaluation, Step, shuffled_batches, train
from mtkd_cli.training.objectives import FromTeachers
from mtkd_cli.training.progress import Progress
from mtkd_cli.training.selection import Measurement
from mtkd_cli.training.strategy import Strategy

HERE = Path(__file__).parent
WARM_UP = 3
"""Steps before the graph is captured."""
STUDENTS = ("convnet:32-64", "resnet:20-32", "resnet:56-64")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--recipe", default="digits")
    parser.add_argument("--students", nargs="+", default=list(STUDENTS))
    parser.add_argument("--batch-size", type=int, default=512)
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.environ["MTKD_STORE"] = folder
        rows = [row(student, options) for student in options.students]
    (HERE / "cuda.md").write_text(page(rows, options))


def row(student: str, options: argparse.Namespace) -> list[str]:
    """Return the samples per second of both loops with a student, and their ratio."""
    context = prepared(student, options)
    data, objective = distillation(context)
    loops = {
        "graph": graph_loop(context, data, options),
        "mtkd": mtkd_loop(context, data, objective, options),
    }
    seconds: dict[str, list[float]] = {name: [] for name in loops}
    for _ in range(options.rounds + 1):
        for name, loop in loops.items():
            synchronize(context.device)
            started = time.perf_counter()
            loop()
            synchronize(context.device)
            seconds[name].append(time.perf_counter() - started)
    samples = options.steps * batch_size_of(data, options)
    rates = {
        name: [samples / each for each in found[1:]] for name, found in seconds.items()
    }  # one to warm up
    ratios = [own / graph for own, graph in zip(rates["mtkd"], rates["graph"], strict=True)]
    found = [student, *(f"{statistics.median(rates[name]):,.0f}" for name in loops)]
    return [*found, f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"]


def prepared(student: str, options: argparse.Namespace) -> Context:
    """Return the context of a recipe with another student, in bf16."""
    registry = discover(third_party=False)
    changes = [f"student={student}", f"train.batch_size={options.batch_size}", "train.precision=bf16"]
    changes += ["train.lr=0.01", "fit.epochs=1"]  # what teachers know does not matter here
    parts = resolve(read(options.recipe, changes, registry)[0], registry, options.recipe)
    return pipeline.prepare(parts, options.device, Progress())


def distillation(context: Context) -> tuple[DistillationData, FromTeachers]:
    """Return the training data with recorded outputs, and the objective."""
    views, loss = count_views(context.recipe), context.recipe.loss
    teachers = prepare_teachers(context, views)
    strategy = Strategy(context.parts.strategy)
    fit_strategy(strategy, context, teachers)
    data = distillation_data(teachers, views, context)
    about = make_batches(context, data.split, teachers)
    return data, FromTeachers(data, strategy, about, loss.temperature, resolve_kd_ratio(context))


def batch_size_of(data: DistillationData, options: argparse.Namespace) -> int:
    return min(options.batch_size, len(data))


def mtkd_loop(
    context: Context, data: DistillationData, objective: FromTeachers, options: argparse.Namespace
) -> Callable[[], None]:
    """Return mtkd's loop, with one evaluation that does nothing."""
    settings = context.recipe.train.model_copy(update={"batch_size": batch_size_of(data, options)})

    def loop() -> None:
        progress = Progress()
        with progress.phase("distill", options.steps):
            train(
                build_trainable(context),
                data,
                objective,
                lambda module: Evaluation(Measurement(0.0, 0.0), {}, module),
                settings,
                options.steps,
                options.steps,
                progress,
            )

    return loop


def graph_loop(context: Context, data: DistillationData, options: argparse.Namespace) -> Callable[[], None]:
    """Return a loop that replays a captured step of the student alone, on views of the training samples."""
    device, size = context.device, batch_size_of(data, options)
    step = Step(0, 0, 0.0, torch.arange(len(data)).numpy())
    views, target = data.views(step), data.labels(step).target.clamp(min=0)
    order = [
        next(batches) for batches in [shuffled_batches(len(data), size, 0)] for _ in range(options.steps)
    ]
    indices = [torch.from_numpy(each[:size]).to(device) for _, each in order if len(each) >= size]

    def loop() -> None:
        module = build_trainable(context).train()
        on_gpu = device.type == "cuda"
        optimizer = torch.optim.AdamW(module.parameters(), lr=0.01, fused=on_gpu, capturable=on_gpu)
        batch, labels = views[indices[0]].clone(), target[indices[0]].clone()
        run = captured(module, optimizer, batch, labels) if on_gpu else None
        for index in indices:
            torch.index_select(views, 0, index, out=batch)
            torch.index_select(target, 0, index, out=labels)
            if run is None:
                one_step(module, optimizer, batch, labels)
            else:
                run.replay()

    return loop


def captured(
    module: nn.Module, optimizer: torch.optim.Optimizer, batch: Tensor, labels: Tensor
) -> torch.cuda.CUDAGraph:
    """Return the graph of a training step that reads ``batch`` and ``labels``."""
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(WARM_UP):
            one_step(module, optimizer, batch, labels)
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    optimizer.zero_grad(set_to_none=True)
    with torch.cuda.graph(graph):
        one_step(module, optimizer, batch, labels)
    return graph


def one_step(module: nn.Module, optimizer: torch.optim.Optimizer, batch: Tensor, labels: Tensor) -> None:
    """Take a step of the student alone."""
    optimizer.zero_grad(set_to_none=True)
    with torch.autocast(batch.device.type, torch.bfloat16):
        output = module(batch)
    F.cross_entropy(output.float(), labels).backward()  # type: ignore[no-untyped-call]
    optimizer.step()


def synchronize(device: torch.device) -> None:
    """Wait for the device."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def page(rows: list[list[str]], options: argparse.Namespace) -> str:
    header = ["student", "CUDA graph of the student alone, samples/s", "mtkd, samples/s", "mtkd / graph"]
    command = " ".join(["python docs/benchmarks/cuda_loop.py", *sys.argv[1:]])
    name = torch.cuda.get_device_name() if options.device.startswith("cuda") else "CPU, without a graph"
    return f"""# mtkd's loop on a GPU

```
{command}
```

{versions()}; device: {name}; {options.rounds} rounds in turns of {options.steps} steps, batches of
{options.batch_size}, bf16.

{markdown(header, rows)}
"""


if __name__ == "__main__":
    main()
