"""Build the report of a run from the results of its phases."""

from __future__ import annotations

import importlib.metadata
import math
import platform
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TypeVar

from torch import Tensor

from mtkd_cli.inference.run_files import ROOT
from mtkd_cli.interfaces import Metric, Task
from mtkd_cli.interfaces.significant_digits import format_number, round_significant
from mtkd_cli.plugin.alternatives import strategy_with
from mtkd_cli.recipe import schema as recipe
from mtkd_cli.report.against_teachers import against_teachers
from mtkd_cli.report.claim import claim
from mtkd_cli.report.costs import Costs
from mtkd_cli.report.gallery import Gallery
from mtkd_cli.report.metric_names import spelt
from mtkd_cli.report.run_result import (
    PROCESS_CHANGES,
    Answers,
    Data,
    Everyone,
    Margin,
    PrimaryMetric,
    RunResult,
    Teacher,
    TeacherValidation,
    Training,
    Verdict,
    Weights,
)
from mtkd_cli.report.timing import Timing
from mtkd_cli.runs import automatic
from mtkd_cli.runs.students import TrainedStudent, resolve_kd_ratio
from mtkd_cli.runs.teacher_weights import MeanWeights
from mtkd_cli.stats import jackknife
from mtkd_cli.stats.estimate import Difference
from mtkd_cli.stats.multiple import LEVEL
from mtkd_cli.stats.score import score_of
from mtkd_cli.teachers.class_coverage import class_coverage
from mtkd_cli.teachers.outputs import ReadyTeacher
from mtkd_cli.training.context import Context

MAX_CLASSES = 100
"""Maximum number of classes of a confusion matrix in the report."""
PACKAGES = ("mtkd", "torch", "numpy", "timm", "torchvision")

Part = TypeVar("Part")


@dataclass(frozen=True)
class Scored:
    """Statistics of the test split ``[N, S]``, their metrics, and the costs of the model."""

    statistics: Tensor
    metrics: Mapping[str, float]
    costs: Costs

    def scores(self) -> Mapping[str, float]:
        """Return the metrics, rounded to significant digits."""
        return {name: round_significant(value) for name, value in self.metrics.items()}

    def answers(self, task: Task) -> Answers:
        """Return the details of the outputs that a report shows besides the metrics."""
        found = task.details(self.statistics)
        return Answers(
            per_class={
                name: tuple(map(round_significant, values)) for name, values in found.per_class.items()
            },
            confusion=found.confusion if len(found.confusion) <= MAX_CLASSES else (),
            reliability=found.reliability,
            by_chance={name: round_significant(value) for name, value in found.by_chance.items()},
            points=found.points,
        )


@dataclass(frozen=True)
class Scores:
    """Scores of all models on the test split. ``baselines`` are keyed by kind."""

    student: Scored
    baselines: Mapping[str, Scored]
    ensemble: Scored
    teachers: Mapping[str, Scored]

    def each(self, part: Callable[[Scored], Part]) -> Everyone[Part]:
        """Apply a function to the scores of each model."""
        return Everyone(
            student=part(self.student),
            baselines={kind: part(scored) for kind, scored in self.baselines.items()},
            ensemble=part(self.ensemble),
            teachers={name: part(scored) for name, scored in self.teachers.items()},
        )


def make_report(
    context: Context,
    name: str,
    views: int | None,
    teachers: list[ReadyTeacher],
    student: TrainedStudent,
    baselines: Mapping[str, TrainedStudent],
    scores: Scores,
    mean_weights: MeanWeights | None,
    warnings: Mapping[str, list[str]],
    gallery: Gallery | None = None,
    timing: Timing | None = None,
) -> RunResult:
    """Return the report of a run.

    Args:
        context: the run.
        name: name of the run.
        views: number of recorded views; None if the teachers answer live.
        teachers: the prepared teachers.
        student: the distilled student.
        baselines: the baselines, by kind.
        scores: scores of all models.
        mean_weights: mean weights of the teachers; None if the strategy combines outputs.
        warnings: warnings about the scores of each teacher.
        gallery: instructive test samples.
        timing: start and duration of the run.
    """
    wanted, data = context.recipe, context.data
    primary = PrimaryMetric(context.task.primary.name, context.task.primary.higher_is_better)
    metrics = scores.each(Scored.scores)
    costs = scores.each(lambda each: each.costs)
    return RunResult(
        run=name,
        task=wanted.task.name,
        strategy=wanted.strategy.name,
        metric=primary,
        verdict=make_verdict(context, scores),
        scores=metrics,
        costs=costs,
        details=scores.each(lambda each: each.answers(context.task)),
        against_teachers=against_teachers(primary, metrics, costs),
        student=_describe_training(student, wanted.student.model),
        baselines={kind: _describe_training(each, wanted.student.model) for kind, each in baselines.items()},
        weights=Weights(mean_weights.mean, mean_weights.per_class) if mean_weights else None,
        data=Data(
            name=wanted.data.name,
            classes=data.classes,
            train=len(data.train),
            train_labelled=len(data.train.labeled),
            val=len(data.val.labeled),
            test=len(data.test.labeled),
        ),
        teachers=tuple(_describe_teacher(teacher, warnings[teacher.name], context) for teacher in teachers),
        views="live" if views is None else views,
        kd_ratio=resolve_kd_ratio(context),
        augment=automatic.describe_augment(wanted.augment),
        batch_size=wanted.train.batch_size,
        engine={**context.engine, **_process_changes(context)},
        versions={n: importlib.metadata.version(n) for n in PACKAGES},
        machine=f"{platform.system()} {platform.machine()}",
        repeat=f"mtkd distill {ROOT / name / 'recipe.yaml'} --device {context.device.type}"
        + ("" if context.threads.automatic else f" --threads {context.threads.limit}")
        + _processes_option(context),
        intervals=scores.each(lambda each: _interval(context.task, each.statistics)),
        timing=timing,
        seed=wanted.train.seed,
        gallery=gallery,
        coverage=class_coverage(teachers, data.classes),
    )


def _interval(task: Task, statistics: Tensor) -> tuple[float, float] | None:
    """Return the 95 % interval of the primary metric over test samples; None with too few samples."""
    found = score_of(task, statistics).estimate()
    known = math.isfinite(found.low) and math.isfinite(found.high)
    return (round_significant(found.low), round_significant(found.high)) if known else None


def _describe_training(student: TrainedStudent, model: str) -> Training:
    return Training(
        chosen=student.settings, trials=student.trials, curve=student.curve, model=model, note=student.note
    )


def _describe_teacher(ready: ReadyTeacher, warnings: list[str], context: Context) -> Teacher:
    found = ready.validation
    return Teacher(
        name=ready.name,
        model=ready.entry.model,
        hash=ready.hash,
        labels_seen=labels_seen(ready.entry, context),
        classes={name: tuple(own) for name, own in zip(context.data.classes, ready.own_classes, strict=True)},
        calibration=ready.calibration,
        validation=TeacherValidation(found.metrics, found.labels, found.chance, tuple(map(str, found.doubts)))
        if found
        else None,
        warnings=tuple(warnings),
        rounding=None if ready.rounding is None else ready.rounding.error,
    )


def _process_changes(context: Context) -> dict[str, str]:
    return {PROCESS_CHANGES: context.process_changes.sentence} if context.process_changes else {}


def _processes_option(context: Context) -> str:
    number = context.engine.get("processes", 1)
    return f" --processes {number}" if number > 1 else ""


DECLARED = {
    None: "unknown (trained elsewhere)",
    "none": "none of this data's (declared)",
    "train": "the training labels (declared)",
    "all": "all labels, test included (declared)",
}
"""Labels that a teacher saw before, by the recipe's ``saw``."""


def labels_seen(teacher: recipe.Teacher, context: Context) -> str:
    """Return the labels of the data that a teacher was trained on, in words, as far as they are known."""
    fit = teacher.fit
    if fit is None:
        return DECLARED[teacher.saw]
    count = len(context.data.train.labeled)
    here = f"the student's {count}"
    if fit.labels == "all":
        every = len(context.data.all_labels.labeled)
        here = f"all {every} training labels, of which the student sees {count}"
    return f"{here}; before: {DECLARED[teacher.saw]}" if teacher.saw else here


def make_verdict(context: Context, scores: Scores) -> Verdict:
    """Return the differences to the baselines, with intervals over test samples, and a sentence."""
    task, metric = context.task, context.task.primary
    student = scores.student.metrics[metric.name]
    ensemble = scores.ensemble.metrics[metric.name]
    found = claim(
        PrimaryMetric(metric.name, metric.higher_is_better),
        student,
        {kind: _margin(task, scores.student, baseline) for kind, baseline in scores.baselines.items()},
        over="test samples",
        no_interval=f"fewer than {jackknife.FEWEST} test samples give no interval",
        samples=len(scores.student.statistics),
    )
    seeds = "A rerun with another seed may differ (--seeds 3 measures it)." if found.against else ""
    about_teachers = (
        _compare_with_ensemble(metric, student, ensemble, len(scores.student.statistics)),
        _compare_with_best_teacher(task, scores),
    )
    return replace(found, sentence=" ".join(filter(None, (found.sentence, seeds, *about_teachers))))


def _margin(task: Task, student: Scored, baseline: Scored) -> Margin:
    """Return the difference of the primary metric to a baseline, with an interval over test samples."""
    mine, theirs = (each.metrics[task.primary.name] for each in (student, baseline))
    found = _difference(task, student.statistics, baseline.statistics)
    known = math.isfinite(found.low) and math.isfinite(found.high)
    return Margin(theirs, mine - theirs, (found.low, found.high) if known else None)


def _compare_with_ensemble(metric: Metric, student: float, ensemble: float, samples: int) -> str:
    """Return a sentence that compares the student with the ensemble."""
    if not ensemble:
        return ""
    if not metric.higher_is_better:
        return f"Its {spelt(metric.name)} is {student / ensemble:.2f} times the ensemble's."
    verb = "keeps" if student <= ensemble else "reaches"
    percent = format_number(100 * student / ensemble, 100, samples=samples)
    return f"It {verb} {percent} % of the ensemble's {spelt(metric.name)}."


def _compare_with_best_teacher(task: Task, scores: Scores) -> str:
    """Return a sentence that compares the ensemble with its best teacher, if that scores higher.

    Advises another strategy only if the teacher is significantly better. It is the best of K, so its p value
    is multiplied by K (Bonferroni).
    """
    metric = task.primary
    alone = {name: teacher.metrics[metric.name] for name, teacher in sorted(scores.teachers.items())}
    choose = max if metric.higher_is_better else min
    name = choose(alone, key=alone.__getitem__)
    ensemble = scores.ensemble.metrics[metric.name]
    if not metric.is_better(alone[name], ensemble):
        return ""
    samples = len(scores.ensemble.statistics)
    found = _difference(task, scores.teachers[name].statistics, scores.ensemble.statistics)
    scored = [format_number(score, ensemble, samples=samples) for score in (ensemble, alone[name])]
    if not found.sure or found.p * len(alone) >= LEVEL:
        both = f"the ensemble ({scored[0]}) and {name} alone ({scored[1]})"
        return f"No clear difference between {both}."
    low, high = (format_number(end, ensemble, "+", samples) for end in (found.low, found.high))
    return (
        f"The ensemble ({scored[0]}) does not beat its best teacher, {name} ({scored[1]}; 95 % interval of "
        f"the difference {low} to {high}); strategy={strategy_with('best-teacher')} chooses a teacher on "
        "validation."
    )


def _difference(task: Task, first: Tensor, second: Tensor) -> Difference:
    """Return the first primary metric minus the second, over test samples."""
    return score_of(task, first).minus(score_of(task, second))
