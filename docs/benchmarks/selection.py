"""Which checkpoint and learning rate to keep: rules compared on the same trainings.

python docs/benchmarks/selection.py --cases digits-100 digits-100-wrong digits-all diabetes-60 ... --seeds 5

Each case trains the student alone, and distilled by `mean` and `weighted`, for each learning rate. At every
evaluation it measures validation, the distance to the merged teachers, and test. Rules then choose from the
same evaluations. Writes selection.md beside this file.
"""

from __future__ import annotations

import argparse
import collections
import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from in_process import loaded
from tables import write
from torch import Tensor, nn

from mtkd_cli.data.subset import shuffled_sample_rows
from mtkd_cli.interfaces import Alignment
from mtkd_cli.models.preprocess import with_preprocessing
from mtkd_cli.runs.strategy_batches import fit_strategy, make_batches
from mtkd_cli.runs.students import build_untrained, plan_steps, resolve_kd_ratio
from mtkd_cli.runs.view_count import count_views
from mtkd_cli.teachers.distillation_data import distillation_data
from mtkd_cli.teachers.merged_distance import merged_distance
from mtkd_cli.teachers.outputs import ReadyTeacher
from mtkd_cli.teachers.prepare import prepare_teachers
from mtkd_cli.training.batchnorm_statistics import reestimate_batchnorm
from mtkd_cli.training.context import Context
from mtkd_cli.training.evaluation import BATCHNORM_SAMPLES, measure, plain_views, row_predictor
from mtkd_cli.training.loop import train
from mtkd_cli.training.objectives import FromLabels, FromTeachers
from mtkd_cli.training.selection import Measurement, Selection, select, smooth, window_size
from mtkd_cli.training.state import Evaluation
from mtkd_cli.training.strategy import Strategy
from mtkd_cli.training.training_data import TrainingData

HERE = Path(__file__).parent
BIAS = 80.0
DIGITS = "train.lr=[1e-3, 3e-3, 1e-2, 3e-2, 1e-1]"
TABLE = "train.lr=[3e-4, 1e-3, 3e-3, 1e-2, 3e-2]"
FASHION = [
    "data.samples=6000",
    "train.lr=[3e-3, 1e-2, 3e-2]",
    "views=4",
    "train.batch_size=128",
    "train.epochs=12",
]
SCENES = ["train.lr=[3e-3, 1e-2, 3e-2]", "train.epochs=20"]
CASES: dict[str, tuple[str, list[str], bool]] = {
    "digits-100": ("digits", ["data.labels=100", DIGITS], False),
    "digits-100-wrong": ("digits", ["data.labels=100", DIGITS], True),
    "digits-all": ("digits", ["data.labels=1258", DIGITS], False),
    "diabetes-60": ("diabetes", ["data.labels=60", TABLE], False),
    "diabetes-60-wrong": ("diabetes", ["data.labels=60", TABLE], True),
    "diabetes-all": ("diabetes", ["data.labels=309", TABLE], False),
    "masks-60": ("digit-scenes-seg", SCENES, False),
    "masks-60-wrong": ("digit-scenes-seg", SCENES, True),
    "fashion-600": ("fashion-mnist", FASHION, False),
    "fashion-600-wrong": ("fashion-mnist", FASHION, True),
}
"""Recipe, overrides, and whether the last teacher is wrong: permuted classes, or 80 added to its values."""
WINDOW = 5


@dataclass(frozen=True)
class Point:
    """One evaluation: ``value`` and ``test`` are larger for better, ``losses`` are per validation sample."""

    lr: float
    epoch: int
    value: float
    loss: float
    losses: np.ndarray
    distance: float | None
    test: float


class Biased(ReadyTeacher):
    """A teacher of a regression whose values are all too large."""

    def align(self, outputs: Tensor) -> Tensor:
        return super().align(outputs) + BIAS


def spoil(teachers: list[ReadyTeacher], over_classes: bool) -> list[ReadyTeacher]:
    """Return the teachers, the last one made wrong."""
    last = teachers[-1]
    if over_classes:
        first, *others = last.alignment.groups
        return [*teachers[:-1], replace(last, alignment=Alignment((*others, first), last.alignment.named))]
    return [*teachers[:-1], Biased(**{name: getattr(last, name) for name in last.__dataclass_fields__})]


def trajectories(case: str, seed: int, more: Sequence[str]) -> dict[str, list[list[Point]]]:
    """Return the evaluations of every training of a case, by what is trained; a list per learning rate."""
    recipe, changes, wrong = CASES[case]
    seeds = [f"train.seed={seed}", *([f"data.seed={seed}"] if recipe in ("digits", "diabetes") else [])]
    found: dict[str, list[list[Point]]] = {}
    teachers: list[ReadyTeacher] | None = None
    for name in ("mean", "weighted"):
        context = loaded(recipe, [*changes, *seeds, *more, f"strategy={name}"])
        if teachers is None:
            teachers = prepare_teachers(context, count_views(context.recipe))
            teachers = spoil(teachers, context.task.over_classes) if wrong else teachers
            split = context.data.train
            labeled = context.training_data(split, split.labeled, view_count=None)
            found["alone"] = trainings(context, labeled, FromLabels(labeled), None)
        strategy = Strategy(context.parts.strategy)
        fit_strategy(strategy, context, teachers)
        data = distillation_data(teachers, count_views(context.recipe), context)
        batches = make_batches(context, data.split, teachers)
        objective = FromTeachers(
            data, strategy, batches, context.recipe.loss.temperature, resolve_kd_ratio(context)
        )
        distance = merged_distance(data, strategy, batches, context)
        found[name] = trainings(context, data, objective, distance)
    return found


def trainings(
    context: Context,
    data: TrainingData,
    objective: FromLabels | FromTeachers,
    distance: Callable[[nn.Module], float] | None,
) -> list[list[Point]]:
    """Train the student once for each learning rate and return its evaluations."""
    task, splits, found = context.task, context.data, []
    steps, every = plan_steps(context)
    name, sign = task.primary.name, 1 if task.primary.higher_is_better else -1
    rows = shuffled_sample_rows(np.arange(len(splits.train)), BATCHNORM_SAMPLES)
    for lr in context.recipe.train.lr:
        points: list[Point] = []

        def evaluate(module: nn.Module, lr: float = lr, points: list[Point] = points) -> Evaluation:
            twin = reestimate_batchnorm(module, plain_views(splits.train, rows, context.device))
            val, test = (measure(row_predictor(twin, part), part, task) for part in (splits.val, splits.test))
            losses = (val.losses / val.counts.clamp(min=1)).numpy()
            near = distance(twin) if distance else None
            value, result = sign * val.metrics[name], sign * test.metrics[name]
            points.append(Point(lr, len(points), value, val.loss, losses, near, result))
            return Evaluation(Measurement(value, val.loss), val.metrics, twin)

        settings = context.recipe.train.model_copy(
            update={"lr": (lr,), "batch_size": min(context.recipe.train.batch_size, len(data))}
        )
        module = with_preprocessing(build_untrained(context))
        train(module, data, objective, evaluate, settings, steps, every, context.progress)
        found.append(points)
    return found


def averaged(runs: list[list[Point]], of: Callable[[Point], float]) -> list[tuple[float, Point]]:
    """Return every evaluation with the mean of a number over the window that ends there."""
    return [
        (statistics.fmean(of(point) for point in run[max(0, end - WINDOW) : end]), run[end - 1])
        for run in runs
        for end in range(min(WINDOW, len(run)), len(run) + 1)
    ]


def by_mtkd(runs: list[list[Point]], spatial: bool) -> Point:
    """Return the evaluation that mtkd keeps."""
    kept: Selection | None = None
    for run in runs:
        width = window_size(len(run))
        for end in range(width, len(run) + 1):
            few = not spatial
            recent = [
                Measurement(p.value, p.loss, p.losses if few else None, p.distance)
                for p in run[end - width : end]
            ]
            new = select(smooth(end, recent, run[end - 1]))
            kept = new if kept is None else kept.including(new)
    assert kept is not None
    point: Point = kept.chosen.evaluation
    return point


def choices(runs: list[list[Point]], spatial: bool) -> dict[str, Point]:
    """Return what each rule keeps."""
    every = [point for run in runs for point in run]
    last = min(runs, key=lambda run: statistics.fmean(p.loss for p in run[-WINDOW:]))[-1]
    return {
        "best metric, then loss": max(every, key=lambda p: (nan_last(p.value), -p.loss)),
        "best loss": min(every, key=lambda p: p.loss),
        "best loss, mean of 5": min(averaged(runs, lambda p: p.loss), key=lambda pair: pair[0])[1],
        "best metric, mean of 5": max(averaged(runs, lambda p: p.value), key=lambda pair: pair[0])[1],
        "last epoch, rate by loss": last,
        "**mtkd**": by_mtkd(runs, spatial),
        "oracle (by test)": max(every, key=lambda p: p.test),
    }


def nan_last(value: float) -> float:
    return -math.inf if math.isnan(value) else value


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--cases", nargs="+", default=list(CASES), choices=list(CASES))
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--first-seed", type=int, default=100)
    parser.add_argument("--fashion", default="", help="folder of the Fashion-MNIST files")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    lost: dict[tuple[str, str], dict[str, list[float]]] = collections.defaultdict(
        lambda: collections.defaultdict(list)
    )
    for case in arguments.cases:
        more = [f"data.path={arguments.fashion}"] if case.startswith("fashion") else []
        unit = 1.0 if case.startswith("diabetes") else 100.0
        for seed in range(arguments.first_seed, arguments.first_seed + arguments.seeds):
            for who, runs in trajectories(case, seed, more).items():
                kept = choices(runs, spatial=case.startswith("masks"))
                best = kept["oracle (by test)"].test
                for rule, point in kept.items():
                    lost[case, who][rule].append(unit * (best - point.test))
            print(case, seed, flush=True)
        publish(arguments, lost)


def publish(arguments: argparse.Namespace, lost: dict[tuple[str, str], dict[str, list[float]]]) -> None:
    rules = [rule for rule in next(iter(lost.values())) if not rule.startswith("oracle")]
    rows = [
        [case, who, *(f"{statistics.fmean(s[rule]):.2f} ({max(s[rule]):.2f})" for rule in rules)]
        for (case, who), s in lost.items()
    ]
    means = [statistics.fmean(statistics.fmean(s[rule]) for s in lost.values()) for rule in rules]
    worst = [max(max(s[rule]) for s in lost.values()) for rule in rules]
    rows.append(
        ["mean of all", "", *(f"{mean:.2f} ({most:.2f})" for mean, most in zip(means, worst, strict=True))]
    )
    write(
        HERE / "selection.md",
        "Which checkpoint and learning rate to keep",
        f"python docs/benchmarks/selection.py --seeds {arguments.seeds} --first-seed {arguments.first_seed}"
        f" --cases {' '.join(arguments.cases)}",
        ["case", "student", *rules],
        rows,
        NOTE,
    )


NOTE = """What a rule loses to the best evaluation of all (chosen by test): mean over the seeds, in brackets
the most. Points of accuracy or mIoU; for diabetes RMSE. `wrong`: the last teacher has permuted classes, or 80
is added to its values. Each student has a range of learning rates and about as many evaluations as epochs.

mtkd's rule: with fewer than 500 validation labels, the loss, averaged over five evaluations (at most a
quarter of all). The distilled student is the evaluation closest to the merged teachers on unlabeled training
samples, among those that are not worse than the best one by more than one standard error of the paired
difference. The student alone and fine-tuned teachers are the last evaluation, with the learning rate by loss,
or the best one if the last is worse by more than one standard error. With more labels, and for maps and
boxes, the averaged metric decides.

Why 500: one of n validation samples is worth 1/n of accuracy. Epochs near each other differ by a few tenths
of a point, so below about 500 labels most evaluations tie, or differ by one sample.

No rule is best everywhere. The best single evaluation is good with hundreds of labels and poor with 18
(diabetes-60, alone). The last epoch is good where nothing overfits."""


if __name__ == "__main__":
    main()
