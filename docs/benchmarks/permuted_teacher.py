"""Segmentation with a teacher whose classes are permuted: confident, and wrong everywhere.

python docs/benchmarks/permuted_teacher.py

The recipe digit-scenes-seg with its three teachers and a copy of the first, whose classes are shifted by one.
Measures the ensemble of each strategy without labels of the test scenes.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import torch
from in_process import loaded
from safetensors.torch import save_file
from tables import write
from torch import Tensor

from mtkd_cli import counter_rng
from mtkd_cli.data.views import PLAIN
from mtkd_cli.runs.strategy_batches import fit_strategy, make_batches
from mtkd_cli.teachers.fine_tuning import fit_teacher
from mtkd_cli.teachers.load import load_teacher
from mtkd_cli.teachers.prepare import prepare_teachers
from mtkd_cli.teachers.resolved_teacher import resolve_teachers
from mtkd_cli.training.strategy import Strategy, mixture

HERE = Path(__file__).parent
RECIPE = "digit-scenes-seg"
RESAMPLES = 500
CASES = {
    "mean of only the good teachers": ("mean", False),
    "mean": ("mean", True),
    "mean-logit": ("mean-logit", True),
    "entropy": ("entropy", True),
    "confidence": ("confidence", True),
    "weighted": ("{name: weighted, by: validation}", True),
    "weighted by class": ("{name: weighted, by: class}", True),
    "consensus": ("consensus", True),
    "consensus by element": ("{name: consensus, by: element}", True),
    "median": ("median", True),
    "majority": ("majority", True),
    "stacking": ("stacking", True),
}


def main() -> None:
    torch.set_num_threads(1)
    found: dict[str, Tensor] = {}
    with tempfile.TemporaryDirectory() as folder:
        permuted = permuted_copy(Path(folder) / "permuted.safetensors")
        for name, (strategy, bad) in CASES.items():
            found[name] = ensemble_statistics([f"strategy={strategy}", *([permuted] if bad else [])])
    task = loaded(RECIPE, []).task
    good = found["mean of only the good teachers"]
    rows = []
    for name, statistics in found.items():
        draws = [
            counter_rng.generator("bootstrap", n).integers(0, len(good), len(good)) for n in range(RESAMPLES)
        ]
        gaps = [task.metrics(statistics[d])["miou"] - task.metrics(good[d])["miou"] for d in draws]
        low, high = np.quantile(gaps, [0.025, 0.975])
        difference = task.metrics(statistics)["miou"] - task.metrics(good)["miou"]
        shown = "" if statistics is good else f"{difference:+.4f} ({low:+.4f} to {high:+.4f})"
        rows.append([name, f"{task.metrics(statistics)['miou']:.4f}", shown])
        print(rows[-1], flush=True)
    write(
        HERE / "permuted_teacher.md",
        "A teacher whose classes are permuted",
        "python docs/benchmarks/permuted_teacher.py",
        ["strategy", "ensemble's test mIoU", "difference to the good teachers' mean (95 % interval)"],
        rows,
        f"{RECIPE}, {len(good)} test scenes; paired bootstrap over scenes. The fourth teacher is a copy "
        "of the first with its classes shifted by one: as confident, and wrong. Strategies that need "
        "validation use 15 labeled scenes. One set of teachers; no student is trained.",
    )


def ensemble_statistics(changes: list[str]) -> Tensor:
    """Return the statistics of the ensemble on the test scenes."""
    context = loaded(RECIPE, changes)
    teachers, strategy = prepare_teachers(context, 1), Strategy(context.parts.strategy)
    fit_strategy(strategy, context, teachers)
    test = context.data.test
    rows = np.arange(len(test))
    outputs = tuple(teacher.recorded_outputs("test", PLAIN, rows) for teacher in teachers)
    merged = strategy.merge(make_batches(context, test, teachers)(outputs, rows, None))
    return context.task.statistics(mixture(context.task, merged), torch.from_numpy(test.samples.targets))


def permuted_copy(path: Path) -> str:
    """Write the weights of the permuted teacher; return the change that adds it to the recipe."""
    context = loaded(RECIPE, [])
    teacher = resolve_teachers(context)[0]
    untouched = load_teacher(teacher.part, teacher.entry, context.data, context.task)
    copied = fit_teacher(untouched, teacher, context).module
    weights = {name: tensor.contiguous().clone() for name, tensor in copied.state_dict().items()}
    for name in ("head.weight", "head.bias"):
        weights[name] = weights[name].roll(1, dims=0)
    save_file(weights, path)
    models = [f"{{model: '{t.model}', fit: all}}" for t in context.recipe.teachers]
    wrong = f"{{name: permuted, model: '{teacher.entry.model}', checkpoint: '{path}'}}"
    return f"teachers=[{', '.join([*models, wrong])}]"


if __name__ == "__main__":
    main()
