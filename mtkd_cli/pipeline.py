"""The main job, phase by phase: data, teachers, strategy, student, student alone, answers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mtkd_cli import dataset, store
from mtkd_cli.aggregate import Strategy
from mtkd_cli.context import Context, device_of
from mtkd_cli.errors import UsageError
from mtkd_cli.evaluate import measure, predict
from mtkd_cli.interfaces import Merged, Model, Task
from mtkd_cli.models import facts, prepared
from mtkd_cli.objectives import Batches
from mtkd_cli.progress import Progress
from mtkd_cli.recipe import Recipe
from mtkd_cli.report.facts import Scored, Scores, report_of
from mtkd_cli.resolve import Resolved
from mtkd_cli.run import Run
from mtkd_cli.students import TrainedStudent, alone, distilled
from mtkd_cli.teachers import ReadyTeacher, ready
from mtkd_cli.trackers import Following
from mtkd_cli.views import PLAIN

MOST_VIEWS = 8
EPOCHS_A_VIEW = 4
COSTS = ("parameters", "bytes", "latency_ms")


def prepare(parts: Resolved, device: str, progress: Progress) -> Context:
    """Load the data and the task of a resolved recipe."""
    recipe: Recipe = parts.recipe
    if recipe.store.top_k and recipe.loss.temperature != 1:
        raise UsageError(
            f"store.top_k keeps answers at temperature 1; the recipe has {recipe.loss.temperature:g}",
            where="loss.temperature",
            hint="set loss.temperature=1, or leave store.top_k out",
        )
    source = parts.data.create().load(store.root() / "images")
    data = dataset.load(source, recipe.data)
    task = parts.task.create(classes=data.classes, loss=recipe.loss, targets=data.train.samples.targets)
    return Context(recipe, parts, data, task, device_of(device), progress)


def views_of(recipe: Recipe) -> int | None:
    """Return how many views of each sample are recorded, None for live teachers.

    ``auto`` is a rule of cost: without augmentation one view is all there is; with it, one view
    for every four epochs, at most eight, so teachers cost at most a quarter of what live ones do.
    """
    if recipe.views.count == "live":
        return None
    if recipe.views.count != "auto":
        return recipe.views.count
    if not changes_anything(recipe):
        return 1
    return max(1, min(MOST_VIEWS, recipe.train.epochs // EPOCHS_A_VIEW))


def changes_anything(recipe: Recipe) -> bool:
    """Whether a view can differ from the plain sample."""
    return recipe.augment != type(recipe.augment)()


def distill(context: Context, run: Run, baseline: bool) -> dict[str, Any]:
    """Run every phase and return the report, which also lies in the run folder.

    A run that fails before it has trained anything leaves no folder behind; later, it leaves its log.
    """
    followers = [Following(part, context.progress.say) for part in context.parts.trackers]

    def tell(method: str, *arguments: Any) -> None:
        for follower in followers:
            follower.tell(method, *arguments)

    def keep_row(row: Mapping[str, Any]) -> None:
        run.add_row(row)
        tell("epoch_finished", row)

    context.progress.log, context.progress.on_row = run.log, keep_row
    run.write_recipe(context.recipe)
    tell("run_started", context.recipe.as_dict(), run.folder)
    try:
        report = _every_phase(context, run, baseline)
    except BaseException as error:
        run.failed(error)
        raise
    tell("run_finished", report)
    for follower in followers:
        follower.close()
    return report


def _every_phase(context: Context, run: Run, baseline: bool) -> dict[str, Any]:
    recipe, views = context.recipe, views_of(context.recipe)
    strategy = Strategy(context.parts.strategy)
    teachers = ready(context, views)
    fit_strategy(strategy, context, teachers)
    student = distilled(context, teachers, strategy, _batches(context, context.data.train), views)
    opponent = alone(context) if baseline else None
    with context.progress.phase("evaluate", 1):
        scores = _scores(context, teachers, strategy, student, opponent)
        report = report_of(context, run.folder.name, views, teachers, student, opponent, scores)
    facts_of_student = {
        "model": recipe.student.model,
        "classes": list(context.data.classes),
        "task": recipe.task.name,
        "input": vars(student.model.input),
        "test": scores.student.metrics,
    }
    run.write_student(student.model, facts_of_student)
    run.write_report(report)
    return report


def fit_strategy(strategy: Strategy, context: Context, teachers: list[ReadyTeacher]) -> None:
    """Show a strategy the validation split, if it needs to see it."""
    val = context.data.val
    outputs = tuple(teacher.recorded("val", PLAIN) for teacher in teachers)
    target = torch.from_numpy(val.samples.targets)
    strategy.fit(_batches(context, val)(outputs, np.arange(len(val)), target))


def _batches(context: Context, split: dataset.Split) -> Batches:
    recipe = context.recipe
    return Batches(
        context.task,
        split,
        tuple(t.name for t in recipe.teachers),
        tuple(t.weight for t in recipe.teachers),
        recipe.loss.temperature,
        recipe.train.seed,
    )


def _scores(
    context: Context,
    teachers: list[ReadyTeacher],
    strategy: Strategy,
    student: TrainedStudent,
    opponent: TrainedStudent | None,
) -> Scores:
    """Measure everyone on the test split. The strategy is given no labels there."""
    test, task = context.data.test, context.task

    def scored(output: Tensor, costs: Mapping[str, Any]) -> Scored:
        return Scored(output, measure(output, test, task), {name: costs[name] for name in COSTS})

    def of_model(model: Model) -> Scored:
        example = torch.zeros(1, *test.samples.inputs.shape[1:])
        return scored(predict(prepared(model), test), facts(model, example).as_dict())

    answers = {teacher.name: teacher.recorded("test", PLAIN) for teacher in teachers}
    mine = of_model(student.model)
    merged = strategy.merge(
        _batches(context, test)(tuple(answers.values()), np.arange(len(test)), None, mine.output)
    )
    together = {name: sum(teacher.facts[name] for teacher in teachers) for name in COSTS}
    return Scores(
        mine,
        of_model(opponent.model) if opponent else None,
        scored(mixture(task, merged), together),
        {teacher.name: scored(answers[teacher.name], teacher.facts) for teacher in teachers},
    )


def mixture(task: Task, merged: Merged) -> Tensor:
    """Return what the ensemble answers, ``[B, C]``."""
    return merged.combined if merged.weights is None else task.mix(merged.outputs, merged.weights)  # type: ignore[return-value]
