"""The main job, phase by phase: data, teachers, strategy, student, student alone, answers."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mtkd_cli.data import dataset
from mtkd_cli.data.subset import spread
from mtkd_cli.data.views import PLAIN
from mtkd_cli.distributed import group
from mtkd_cli.distributed.devices import device_of
from mtkd_cli.errors import DataError, UsageError, some
from mtkd_cli.inference.student import described, local_code
from mtkd_cli.interfaces import Model, Task
from mtkd_cli.models.cost import facts
from mtkd_cli.models.preprocess import prepared
from mtkd_cli.recipe.resolve import Resolved
from mtkd_cli.recipe.schema import Recipe
from mtkd_cli.report import alignment, results
from mtkd_cli.report.files import write_pages
from mtkd_cli.report.units import COSTS
from mtkd_cli.runs import manifest
from mtkd_cli.runs.folder import Run
from mtkd_cli.runs.picture import picture
from mtkd_cli.runs.report_facts import Scored, Scores, report_of
from mtkd_cli.runs.students import TrainedStudent, alone, distilled
from mtkd_cli.runs.teacher_weights import counted
from mtkd_cli.runs.trackers import running_trackers
from mtkd_cli.runs.view_count import views_of
from mtkd_cli.store.data_cache import StoreCache
from mtkd_cli.teachers import calibration, memorized
from mtkd_cli.teachers.distillation_data import distillation_data
from mtkd_cli.teachers.label_alignment import remarks
from mtkd_cli.teachers.outputs import ReadyTeacher, known_classes
from mtkd_cli.teachers.prepare import prepare_teachers
from mtkd_cli.teachers.resolved_teacher import ResolvedTeacher, resolved_teachers
from mtkd_cli.training.context import Context
from mtkd_cli.training.evaluation import answering, measure, on_device
from mtkd_cli.training.loop import refuse_small_batches
from mtkd_cli.training.objectives import Batches
from mtkd_cli.training.progress import Progress
from mtkd_cli.training.strategy import Strategy, mixture

Answer = Callable[[NDArray[np.int64]], Tensor]

MOST_VALUES = 2**27
"""Numbers of the teachers' answers that a strategy is shown at most when it is fitted."""


def prepare(parts: Resolved, device: str, progress: Progress) -> Context:
    """Load the data and the task of a resolved recipe."""
    recipe: Recipe = parts.recipe
    told = {"task": recipe.task.name} if parts.data.takes("task") else {}
    source = parts.data.create(**told).load(StoreCache())
    data = dataset.load(source, recipe.data)
    task = parts.task.create(data=data.for_task, loss=recipe.loss.for_task)
    _refuse_top_k(recipe, task)
    calibration.refuse(recipe, task)
    _refuse_wrong_labels(data, task)
    return Context(recipe, parts, data, task, device_of(device), progress)


def _refuse_top_k(recipe: Recipe, task: Task) -> None:
    if not isinstance(recipe.store.top_k, int):
        return
    if not task.over_classes:
        raise UsageError(
            f"store.top_k keeps classes; the outputs of {recipe.task.name} are none",
            "store.top_k",
            "leave it out",
        )
    if recipe.loss.temperature != 1:
        raise UsageError(
            f"store.top_k keeps answers at temperature 1; the recipe has {recipe.loss.temperature:g}",
            where="loss.temperature",
            hint="set loss.temperature=1, or leave store.top_k out",
        )
    if not task.plain_logits:
        raise UsageError(
            "this distillation loss needs every logit, store.top_k keeps a few",
            where="task, store.top_k",
            hint="use kd: kl without standardise, or leave store.top_k out",
        )


def _refuse_wrong_labels(data: dataset.Dataset, task: Task) -> None:
    for split in (data.all_labels, data.val, data.test):
        if wrong := task.wrong_label(split.samples.targets):
            row, what = wrong
            raise DataError(what, f"{split.name}, sample {split.samples.ids[row]}", "mend the label")


def distill(context: Context, run: Run, baseline: bool) -> dict[str, Any]:
    """Run every phase and return the report, which also lies in the run folder.

    A run that was begun before goes on where it was. A new one that fails before it has trained anything
    leaves no folder behind; later, it leaves all that it has.
    """
    logged = context.progress.with_listeners(*run.listeners)
    with run, running_trackers(context.parts.trackers, logged.say) as trackers:
        context = replace(context, progress=logged.with_listeners(*trackers))
        events = context.progress.events
        resolved = resolved_teachers(context)
        now = manifest.of(context, resolved, views_of(context.recipe), baseline)
        views = run.begin(context.recipe, now)
        events.run_started(context.recipe.as_dict(), run.folder)
        trained = _trained(context, resolved, group.same(views), baseline, run.checkpoints)
        report = _reported(context, run, trained)
        run.finish()
        events.run_finished(report)
    return report


def assist(context: Context, baseline: bool, checkpoints: Path) -> None:
    """Do this process's share of every phase of a run that the first process keeps and reports.

    Args:
        context: the run.
        baseline: whether the student alone is trained too.
        checkpoints: where the first process keeps those of the distilled student.
    """
    _trained(context, resolved_teachers(context), group.same(None), baseline, checkpoints)


@dataclass(frozen=True)
class _Trained:
    """What a run has before it is reported."""

    views: int | None
    teachers: list[ReadyTeacher]
    strategy: Strategy
    student: TrainedStudent
    opponent: TrainedStudent | None
    answers: Mapping[str, Answer]
    scores: Scores


def _trained(
    context: Context,
    resolved: Sequence[ResolvedTeacher],
    views: int | None,
    baseline: bool,
    checkpoints: Path,
) -> _Trained:
    """Run every phase in which all processes have a share."""
    for samples in (len(context.data.train), *([len(context.data.train.labelled)] if baseline else [])):
        refuse_small_batches(samples, context.recipe.train.batch_size)
    strategy = Strategy(context.parts.strategy)
    teachers = prepare_teachers(context, views, resolved)
    _tell_alignment(context, teachers)
    _refuse_partial(context, strategy, teachers)
    fit_strategy(strategy, context, teachers)
    data = distillation_data(teachers, views, context)
    student = distilled(context, data, strategy, batches_of(context, data.split, teachers), checkpoints)
    opponent = alone(context) if baseline else None
    with context.progress.phase("evaluate", 1):
        answers = _answers(context, teachers, strategy, student, opponent)
        scores = _scores(context, teachers, student, opponent, answers)
    return _Trained(views, teachers, strategy, student, opponent, answers, scores)


def _reported(context: Context, run: Run, done: _Trained) -> dict[str, Any]:
    """Write the student, the report and its pages, and return the report."""
    student = done.student
    with context.progress.phase("report", 1):
        about = batches_of(context, context.data.val, done.teachers)
        weights = counted(context, done.teachers, done.strategy, about, student.model)
        report = report_of(
            context,
            run.folder.name,
            done.views,
            done.teachers,
            student,
            done.opponent,
            done.scores,
            weights,
            _warnings(context, done.teachers),
        )
    facts = described(context, student.model, done.scores.student.metrics)
    run.write_student(student.model, facts, local_code(context))
    run.write_picture(picture(context, done.answers))
    run.write_report(report)
    write_pages(run.folder, results.REPORT, report)
    return report


def _warnings(context: Context, teachers: list[ReadyTeacher]) -> dict[str, list[str]]:
    """Return what to know of each teacher before its scores are believed; what is new is said."""
    found = {}
    for teacher in teachers:
        late = [] if teacher.entry.fit else memorized.warnings_of(teacher, teacher.entry.saw, context)
        for warning in late:
            context.progress.say(f"warning: teacher {teacher.name}: {warning}")
        early = teacher.validation.doubts if teacher.validation else ()
        found[teacher.name] = [*map(str, early), *late]
    return found


def _refuse_partial(context: Context, strategy: Strategy, teachers: list[ReadyTeacher]) -> None:
    """Raise if teachers know some classes only and the strategy or the loss cannot do with that."""
    known = known_classes(teachers)
    strategy.refuse_partial(known, gaps=context.recipe.store.on_nan == "drop")
    if known is not None and not context.task.any_label_space:
        raise UsageError(
            "this distillation loss needs teachers that know every class",
            where="task",
            hint="use kd: kl without standardise",
        )


def _tell_alignment(context: Context, teachers: list[ReadyTeacher]) -> None:
    """Say whose classes are not the data's."""
    alignments = {teacher.name: teacher.alignment for teacher in teachers}
    own = {teacher.name: teacher.facts["classes"] for teacher in teachers}
    lines = [
        f"teacher {teacher.name}: classes go by number; names are safer"
        for teacher in teachers
        if any(isinstance(given, int) for given in teacher.entry.classes or ())
    ]
    in_order = some(context.data.classes)
    lines += [
        f"teacher {teacher.name} names no classes: its outputs are taken in the data's order: {in_order}"
        for teacher in teachers
        if context.task.over_classes and own[teacher.name] is None and teacher.entry.fit is None
    ]
    lines += remarks(alignments, own, context.data.classes)
    answered = {teacher.name: teacher.own_classes for teacher in teachers}
    same = all(t.alignment.is_identity(len(t.facts["classes"] or context.data.classes)) for t in teachers)
    shown = None if same else alignment.table(context.data.classes, answered)
    context.progress.remark(lines, shown, about=answered)


def fit_strategy(strategy: Strategy, context: Context, teachers: list[ReadyTeacher]) -> None:
    """Show a strategy the validation split, if it needs to see it."""
    val = context.data.val
    rows = spread(val.labelled, MOST_VALUES // (len(teachers) * max(1, _values(teachers, "val"))))
    outputs = tuple(teacher.recorded("val", PLAIN, rows) for teacher in teachers)
    target = torch.from_numpy(val.samples.targets[rows])
    strategy.fit(batches_of(context, val, teachers)(outputs, rows, target))


def _values(teachers: list[ReadyTeacher], split: str) -> int:
    """Return how many numbers the largest answer to one sample has."""
    return max(math.prod(teacher.arrays[split, PLAIN].layout.shape) for teacher in teachers)


def batches_of(context: Context, split: dataset.Split, teachers: list[ReadyTeacher]) -> Batches:
    """Return what makes the batches that a strategy is given on a split."""
    recipe = context.recipe
    return Batches(
        context.task,
        split,
        tuple(t.name for t in teachers),
        tuple(t.entry.weight for t in teachers),
        recipe.loss.temperature,
        recipe.train.seed,
        known_classes(teachers),
        gaps=recipe.store.on_nan == "drop",
    )


def _answers(
    context: Context,
    teachers: list[ReadyTeacher],
    strategy: Strategy,
    student: TrainedStudent,
    opponent: TrainedStudent | None,
) -> dict[str, Answer]:
    """Return by who gives them the outputs on some samples of the test split.

    Students answer on the run's device. The strategy is given no labels there.
    """
    test = context.data.test

    def of_model(model: Model) -> Answer:
        return answering(on_device(prepared(model), context.device), test, context.device)

    def of_teacher(teacher: ReadyTeacher) -> Answer:
        return lambda rows: teacher.recorded("test", PLAIN, rows)

    about = batches_of(context, test, teachers)
    of_student = of_model(student.model)
    guided = "student" in context.parts.strategy.spec.needs

    def of_ensemble(rows: NDArray[np.int64]) -> Tensor:
        answers = tuple(teacher.recorded("test", PLAIN, rows) for teacher in teachers)
        merged = strategy.merge(about(answers, rows, None, of_student(rows) if guided else None))
        return mixture(context.task, merged)

    return {
        "student": of_student,
        **({"alone": of_model(opponent.model)} if opponent else {}),
        "ensemble": of_ensemble,
        **{f"teacher {teacher.name}": of_teacher(teacher) for teacher in teachers},
    }


def _scores(
    context: Context,
    teachers: list[ReadyTeacher],
    student: TrainedStudent,
    opponent: TrainedStudent | None,
    answers: Mapping[str, Answer],
) -> Scores:
    """Measure everyone on the test split."""
    test, task = context.data.test, context.task

    def scored(who: str, costs: Mapping[str, Any]) -> Scored:
        measured = measure(answers[who], test, task, gaps=who.startswith("teacher "))
        return Scored(measured.statistics, measured.metrics, {name: costs[name] for name in COSTS})

    def costs_of(model: Model) -> dict[str, Any]:
        return facts(model, torch.zeros(1, *test.samples.inputs.shape[1:])).as_dict()

    each = {name: [teacher.facts[name] for teacher in teachers] for name in COSTS}
    together = {name: None if None in costs else sum(costs) for name, costs in each.items()}
    return Scores(
        scored("student", costs_of(student.model)),
        scored("alone", costs_of(opponent.model)) if opponent else None,
        scored("ensemble", together),
        {teacher.name: scored(f"teacher {teacher.name}", teacher.facts) for teacher in teachers},
    )
