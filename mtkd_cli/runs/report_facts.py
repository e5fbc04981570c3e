"""The report: every fact of a run, as ``report.json`` holds it."""

from __future__ import annotations

import importlib.metadata
import math
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from mtkd_cli.inference.run_files import ROOT
from mtkd_cli.interfaces import Metric, Task
from mtkd_cli.interfaces.significant_digits import rounded, shown, without_nan
from mtkd_cli.plugin.alternatives import strategy_with
from mtkd_cli.recipe.schema import Teacher
from mtkd_cli.report.metric_names import spelt
from mtkd_cli.runs import automatic
from mtkd_cli.runs.students import TrainedStudent, kd_ratio
from mtkd_cli.runs.teacher_weights import Counted
from mtkd_cli.stats import jackknife
from mtkd_cli.stats.estimate import Difference
from mtkd_cli.stats.multiple import LEVEL
from mtkd_cli.stats.score import score_of
from mtkd_cli.teachers.outputs import ReadyTeacher
from mtkd_cli.training.context import Context

MOST_CLASSES = 100
"""Classes up to which confusions are kept."""


@dataclass(frozen=True)
class Scored:
    """Statistics of the test split ``[N, S]``, their metrics, and what the model costs."""

    statistics: Tensor
    metrics: Mapping[str, float]
    costs: Mapping[str, Any]

    def as_dict(self) -> dict[str, Any]:
        """Return metrics, the primary one first, and costs; None for a metric that is not finite."""
        return {**{name: rounded(value) for name, value in self.metrics.items()}, **self.costs}

    def details(self, task: Task) -> dict[str, Any]:
        """Return what is shown of its answers besides the metrics, as JSON has it."""
        found = task.details(self.statistics)
        return {
            "per_class": {
                name: [rounded(value) for value in values] for name, values in found.per_class.items()
            },
            "confusion": [list(row) for row in found.confusion if len(found.confusion) <= MOST_CLASSES],
            "reliability": [list(part) for part in found.reliability],
            "by_chance": {name: rounded(value) for name, value in found.by_chance.items()},
            "points": {name: [list(pair) for pair in pairs] for name, pairs in found.points.items()},
        }


@dataclass(frozen=True)
class Scores:
    """Everyone's scores on the test split; ``alone`` is None without the baseline."""

    student: Scored
    alone: Scored | None
    ensemble: Scored
    teachers: Mapping[str, Scored]

    def as_dict(self) -> dict[str, Any]:
        """Return the scores by who has them."""
        return {
            "student": self.student.as_dict(),
            "alone": self.alone.as_dict() if self.alone else None,
            "ensemble": self.ensemble.as_dict(),
            "teachers": {n: s.as_dict() for n, s in self.teachers.items()},
        }

    def details(self, task: Task) -> dict[str, Any]:
        """Return what is shown of each besides the metrics, by who it is of; see `Details`."""
        return {
            "student": self.student.details(task),
            "alone": self.alone.details(task) if self.alone else None,
            "ensemble": self.ensemble.details(task),
            "teachers": {n: s.details(task) for n, s in self.teachers.items()},
        }


def report_of(
    context: Context,
    name: str,
    views: int | None,
    teachers: list[ReadyTeacher],
    student: TrainedStudent,
    alone: TrainedStudent | None,
    scores: Scores,
    counted: Counted | None,
    warnings: Mapping[str, list[str]],
) -> dict[str, Any]:
    """Return the report of a run; ``warnings`` are of each teacher's scores."""
    recipe, data = context.recipe, context.data
    verdict = compare(context, scores)
    return {
        "run": name,
        "task": recipe.task.name,
        "strategy": recipe.strategy.name,
        "metric": {
            "name": context.task.primary.name,
            "higher_is_better": context.task.primary.higher_is_better,
        },
        "verdict": verdict,
        "scores": scores.as_dict(),
        "details": scores.details(context.task),
        "curves": without_nan(
            {"student": list(student.curve), "alone": list(alone.curve) if alone else None}
        ),
        "weights": counted.as_dict() if counted else None,
        "data": {
            "name": recipe.data.name,
            "classes": list(data.classes),
            "train": len(data.train),
            "train_labelled": len(data.train.labelled),
            "val": len(data.val.labelled),
            "test": len(data.test.labelled),
        },
        "teachers": [
            {
                "name": teacher.name,
                "model": teacher.entry.model,
                "hash": teacher.hash,
                "labels_seen": labels_seen(teacher.entry, context),
                "classes": dict(zip(data.classes, teacher.own_classes, strict=True)),
                "calibration": teacher.calibration.as_dict() if teacher.calibration else None,
                "validation": teacher.validation.as_dict() if teacher.validation else None,
                "warnings": warnings[teacher.name],
                "rounding": None if teacher.rounding is None else teacher.rounding.error,
            }
            for teacher in teachers
        ],
        "views": "live" if views is None else views,
        "kd_ratio": kd_ratio(context),
        "augment": automatic.in_words(recipe.augment),
        "batch_size": recipe.train.batch_size,
        "student": {
            "model": recipe.student.model,
            "chosen": student.settings,
            "trials": without_nan(list(student.trials)),
        },
        "alone": {"chosen": alone.settings, "trials": without_nan(list(alone.trials))} if alone else None,
        "engine": context.engine,
        "versions": {
            n: importlib.metadata.version(n) for n in ("mtkd", "torch", "numpy", "timm", "torchvision")
        },
        "machine": f"{platform.system()} {platform.machine()}",
        "repeat": f"mtkd distill {ROOT / name / 'recipe.yaml'} --device {context.device.type} "
        f"--threads {context.engine['threads']}" + _processes(context),
    }


def _processes(context: Context) -> str:
    number = context.engine.get("processes", 1)
    return f" --processes {number}" if number > 1 else ""


DECLARED = {
    None: "unknown (trained elsewhere)",
    "none": "none of this data's (declared)",
    "train": "the training labels (declared)",
    "all": "all labels, test included (declared)",
}
"""Labels that a teacher saw before, by the recipe's ``saw``."""


def labels_seen(teacher: Teacher, context: Context) -> str:
    """Return in words which of the data's labels a teacher was trained on, as far as that is known."""
    fit = teacher.fit
    if fit is None:
        return DECLARED[teacher.saw]
    count = len(context.data.train.labelled)
    here = f"the student's {count}"
    if fit.labels == "all":
        every = len(context.data.all_labels.labelled)
        here = f"all {every} training labels, of which the student sees {count}"
    return f"{here}; before: {DECLARED[teacher.saw]}" if teacher.saw else here


def compare(context: Context, scores: Scores) -> dict[str, Any]:
    """Return the difference of the student to itself alone, its interval over test samples, a sentence."""
    metric = context.task.primary
    student = scores.student.metrics[metric.name]
    ensemble = scores.ensemble.metrics[metric.name]
    kept = f"{_beside(metric, student, ensemble)} {_below_a_teacher(context.task, scores)}".strip()
    if scores.alone is None:
        return {
            "difference": None,
            "interval": None,
            "sentence": f"The student alone was not trained, so nothing is known of the gain. {kept}".strip(),
        }
    difference = student - scores.alone.metrics[metric.name]
    found = _difference(context.task, scores.student.statistics, scores.alone.statistics)
    gain = difference if metric.higher_is_better else -difference
    what = "No clear difference"
    if found.sure:
        what = "Distillation helped" if gain > 0 else "Distillation hurt"

    def gap(value: float) -> str:
        return shown(value, student, "+")

    ends = [end if math.isfinite(end) else None for end in (found.low, found.high)]
    interval = f"95 % interval over test samples {gap(found.low)} to {gap(found.high)}"
    if None in ends:
        interval = f"fewer than {jackknife.FEWEST} test samples give no interval"
    sentence = (
        f"{what}: {spelt(metric.name)} {shown(student)} against {shown(student - difference)} alone "
        f"({gap(difference)}; {interval}, one seed). {kept}"
    )
    return {"difference": difference, "interval": ends, "sentence": sentence.strip()}


def _beside(metric: Metric, student: float, ensemble: float) -> str:
    """Return in words how the student compares with what it learnt from."""
    if not ensemble:
        return ""
    if not metric.higher_is_better:
        return f"Its {spelt(metric.name)} is {student / ensemble:.3f} times the ensemble's."
    verb = "keeps" if student <= ensemble else "reaches"
    return f"It {verb} {100 * student / ensemble:.1f} % of the ensemble's {spelt(metric.name)}."


def _below_a_teacher(task: Task, scores: Scores) -> str:
    """Compare the ensemble with its best teacher on the test split; advise only if that one is surely better.

    It is the best of K, so its p value counts K times (Bonferroni).
    """
    metric = task.primary
    alone = {name: teacher.metrics[metric.name] for name, teacher in sorted(scores.teachers.items())}
    choose = max if metric.higher_is_better else min
    name = choose(alone, key=alone.__getitem__)
    ensemble = scores.ensemble.metrics[metric.name]
    if not metric.better(alone[name], ensemble):
        return ""
    found = _difference(task, scores.teachers[name].statistics, scores.ensemble.statistics)
    if not found.sure or found.p * len(alone) >= LEVEL:
        both = f"the ensemble ({shown(ensemble)}) and {name} alone ({shown(alone[name])})"
        return f"No clear difference between {both}."
    return (
        f"The ensemble ({shown(ensemble)}) does not beat its best teacher, {name} ({shown(alone[name])}; "
        f"95 % interval of the difference {shown(found.low, ensemble, '+')} to "
        f"{shown(found.high, ensemble, '+')}); strategy={strategy_with('best-teacher')} chooses a teacher on "
        "validation."
    )


def _difference(task: Task, first: Tensor, second: Tensor) -> Difference:
    """Return the first primary metric minus the second, over test samples."""
    return score_of(task, first).minus(score_of(task, second))
