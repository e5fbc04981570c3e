"""The plan: what a run would do, what it reuses, and about how long it takes. Trains nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import torch

from mtkd_cli.data.inputs import describe_storage
from mtkd_cli.models.cost import STEP_PER_FORWARD, count_macs, measure_cost
from mtkd_cli.models.preprocess import with_preprocessing
from mtkd_cli.runs import automatic, preflight
from mtkd_cli.runs.baseline_choice import parse_choice
from mtkd_cli.runs.baselines import Baseline, list_baselines
from mtkd_cli.runs.phases import list_phases
from mtkd_cli.runs.planned_teacher import measure_seconds_per_sample, plan_teacher
from mtkd_cli.runs.rehearsal import try_recipe
from mtkd_cli.runs.students import build_untrained, plan_steps, resolve_kd_ratio
from mtkd_cli.teachers.prepare import report_views
from mtkd_cli.teachers.probe import sample_views
from mtkd_cli.teachers.resolved_teacher import resolve_teachers
from mtkd_cli.training.context import Context
from mtkd_cli.training.hyperparameter_search import candidates
from mtkd_cli.training.step_threads import step_macs, threads_of_step
from mtkd_cli.training.strategy import Strategy


def make_plan(
    context: Context, views: int | None, baseline: bool | str, seeds: int = 1, processes: int = 1
) -> dict[str, Any]:
    """Return the plan as plain facts. Loads each teacher in turn and times one forward pass of each.

    Args:
        context: the run.
        views: number of recorded views of the training samples; None if teachers answer live.
        baseline: see `parse_choice`.
        seeds: number of seeds to train with.
        processes: number of processes of the run.

    Raises:
        MtkdError: the run would raise it before the student is trained.
    """
    recipe, data = context.recipe, context.data
    baselines = list_baselines(parse_choice(baseline), context)
    preflight.refuse_few_samples(context, bool(baselines), processes)
    strategy = Strategy(context.parts.strategy)
    resolved = resolve_teachers(context)
    report_views(resolved, views, context)
    planned = [plan_teacher(teacher, context, views) for teacher in resolved]
    try_recipe(context, views, strategy, [teacher.tried for teacher in planned])
    teachers = [teacher.facts for teacher in planned]
    student = build_untrained(context)
    forward_seconds = measure_seconds_per_sample(context, with_preprocessing(student))
    seconds = {
        **{f"{what} {t['name']}": t[f"{what}_seconds"] for t in teachers for what in ("fit", "record")},
        **_estimate_trainings(context, baselines, forward_seconds, seeds),
    }
    phases = [
        {
            "phase": phase.name,
            "work": phase.work,
            "reused": phase.is_reused,
            "seconds": 0.0 if phase.is_reused else seconds.get(phase.name, 0.0),
        }
        for phase in list_phases(context, views, resolved, baselines, seeds)
    ]
    costs = measure_cost(student, torch.zeros(1, *data.train.samples.inputs.shape[1:]), context.device)
    live_macs = sum(teacher["macs"] for teacher in teachers) if views is None else 0.0
    macs = count_macs(with_preprocessing(student), sample_views(data.train))
    work = step_macs(macs, live_macs, recipe.train.batch_size, processes)
    return {
        "data": {
            "name": recipe.data.name,
            "classes": list(data.classes),
            "kind": "classes" if context.task.over_classes else "targets",
            "size": data.input.size,
            "channels": data.input.channels,
            "fit": data.fit,
            "cache": describe_storage(data.train.samples),
            "columns": len(data.input.columns),
            "train": len(data.train),
            "train_labelled": len(data.train.labeled),
            "val": len(data.val),
            "test": len(data.test),
            "notes": list(data.notes),
        },
        "metric": context.task.primary.name,
        "teachers": teachers,
        "student": {"model": recipe.student.model, "input_size": student.input.size, **asdict(costs)},
        "views": "live" if views is None else views,
        "kd_ratio": resolve_kd_ratio(context),
        "augment": automatic.describe_augment(recipe.augment),
        "batch_size": recipe.train.batch_size,
        "automatic": automatic.describe_choices(context),
        "warnings": automatic.batch_size_warnings(context),
        "threads": {
            "student": threads_of_step(context, work),
            "limit": context.threads.limit,
            "automatic": context.threads.automatic,
            "step_macs": work,
        },
        "steps": plan_steps(context)[0],
        "candidates": len(candidates(recipe.train)),
        "phases": phases,
        "record_bytes": sum(t["record_bytes"] for t in teachers),
        "seconds": sum(phase["seconds"] for phase in phases),
    }


def _estimate_trainings(
    context: Context, baselines: Sequence[Baseline], forward_seconds: float, seeds: int
) -> dict[str, float]:
    """Return the estimated seconds of each training of a student, and of the evaluation, by phase."""
    train = context.recipe.train
    steps, _ = plan_steps(context)
    tried = len(candidates(train))
    one = forward_seconds * STEP_PER_FORWARD * train.batch_size * steps * seeds
    students = {"distill": one * tried}
    for baseline in baselines:
        students[baseline.phase] = one * (1 if baseline.has_one_candidate else tried)
    evaluated = len(context.data.test) * (1 + len(baselines)) * seeds
    return {**students, "evaluate": forward_seconds * evaluated}
