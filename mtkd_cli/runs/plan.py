"""The plan: what a run would do, how the label spaces align, and about how long it takes. Trains nothing."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
import torch
from rich import box
from rich.console import Group
from rich.table import Table
from rich.text import Text

from mtkd_cli.data.views import PLAIN, view
from mtkd_cli.errors import join_first
from mtkd_cli.models.cost import count_weights, measure_cost
from mtkd_cli.models.preprocess import with_preprocessing
from mtkd_cli.report.metric_names import spelt
from mtkd_cli.report.units import bytes_in_words, count_in_words
from mtkd_cli.runs import automatic
from mtkd_cli.runs.baseline_choice import parse_choice
from mtkd_cli.runs.baselines import is_trained, list_baselines
from mtkd_cli.runs.report_facts import labels_seen
from mtkd_cli.runs.students import build_untrained, plan_steps, resolve_kd_ratio
from mtkd_cli.store import content_store
from mtkd_cli.store.row_format import Layout
from mtkd_cli.teachers.checks import validate_live
from mtkd_cli.teachers.fit_split import create_fit_split
from mtkd_cli.teachers.load import load_teacher
from mtkd_cli.teachers.outputs import align_teacher
from mtkd_cli.teachers.prepare import find_recorded, needed_arrays, report_views
from mtkd_cli.teachers.probe import probe_teacher
from mtkd_cli.teachers.resolved_teacher import ResolvedTeacher, resolve_teachers
from mtkd_cli.training.context import Context
from mtkd_cli.training.hyperparameter_search import candidates

TRAINING_PER_FORWARD = 3.0
"""A training step costs about three forward passes: one forward, two backward."""

LOOK_UP = 1e-6
"""Seconds that one answer from a file takes, about."""


def make_plan(context: Context, views: int | None, baseline: bool | str, seeds: int = 1) -> dict[str, Any]:
    """Return the plan as plain facts. Loads each teacher in turn and times one forward pass of each."""
    recipe, data = context.recipe, context.data
    resolved = resolve_teachers(context)
    report_views(resolved, views, context)
    steps, _ = plan_steps(context)
    tries = len(candidates(recipe.train))
    teachers = [plan_teacher(teacher, context, views) for teacher in resolved]
    student = build_untrained(context)
    seconds = (
        _seconds_per_sample(context, with_preprocessing(student))
        * TRAINING_PER_FORWARD
        * recipe.train.batch_size
        * steps
        * tries
    )
    phases = [
        {"phase": f"{what} {t['name']}", "seconds": t[f"{what}_seconds"]}
        for t in teachers
        for what in ("fit", "record")
        if what == "record" or t["fit"]
    ]
    times = f", {seeds} seeds" if seeds > 1 else ""
    phases.append({"phase": f"distill{times}", "seconds": seconds * seeds})
    phases += [
        {
            "phase": f"{baseline.phase}{times}",
            "seconds": seconds
            * (seeds - is_trained(baseline, context))
            / (tries if baseline.has_one_candidate else 1),
        }
        for baseline in list_baselines(parse_choice(baseline), context)
    ]
    costs = measure_cost(student, torch.zeros(1, *data.train.samples.inputs.shape[1:]), context.device)
    return {
        "data": {
            "name": recipe.data.name,
            "classes": list(data.classes),
            "kind": "classes" if context.task.over_classes else "targets",
            "size": data.input.size,
            "channels": data.input.channels,
            "columns": len(data.input.columns),
            "train": len(data.train),
            "train_labelled": len(data.train.labelled),
            "val": len(data.val),
            "test": len(data.test),
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
        "steps": steps,
        "candidates": tries,
        "phases": phases,
        "record_bytes": sum(t["record_bytes"] for t in teachers),
        "seconds": sum(phase["seconds"] for phase in phases),
    }


def plan_teacher(
    teacher: ResolvedTeacher, context: Context, views: int | None, thorough: bool = False
) -> dict[str, Any]:
    """Return what is known of a teacher once it is loaded and has answered a few samples.

    Args:
        teacher: the teacher.
        context: the run.
        views: recorded views of the training samples; None where teachers answer live.
        thorough: see `validate_live`.
    """
    data, fit = context.data, teacher.entry.fit
    model = load_teacher(teacher.part, teacher.entry, data, context.task)
    wanted = needed_arrays(context, views, teacher.by_id)
    probe = probe_teacher(model, teacher.entry, [split for split, _ in wanted], context)
    model, shape = probe.model, probe.shape
    each = LOOK_UP if teacher.by_id else _seconds_per_sample(context, with_preprocessing(model).eval())
    alignment = align_teacher(teacher.entry, model.classes, shape[0], context)
    validation = None
    if fit is None:
        validation = validate_live(model, teacher.name, alignment, context, thorough).as_dict()
    passes = 0.0
    if fit and teacher.fit_key and content_store.find("fitted", teacher.fit_key) is None:
        chosen = create_fit_split(fit, data, context.recipe.data)
        seen = len(chosen.rows) + len(chosen.held_out)
        passes = TRAINING_PER_FORWARD * fit.epochs * seen if fit.train == "all" else seen + len(data.val)
    kept = find_recorded(teacher, wanted, context)
    row = Layout.for_recipe(shape, context.recipe, context.task).dtype.itemsize
    asked = sum(len(split) for split, number in wanted if (split.name, number) not in kept)
    live = context.recipe.train.epochs * len(data.train) if views is None else 0
    return {
        "name": teacher.name,
        "model": teacher.entry.model,
        "input_size": None if teacher.by_id else model.input.size,
        "parameters": None if teacher.by_id else count_weights(model)[0],
        "same_classes": alignment.is_identity(len(model.classes or data.classes)),
        "aligned": [
            [label, list(group)] for label, group in zip(data.classes, alignment.groups, strict=True)
        ],
        "fit": fit.train if fit else None,
        "labels_seen": labels_seen(teacher.entry, context),
        "validation": validation,
        "fit_seconds": passes * each,
        "record_seconds": (asked + live) * each,
        "record_bytes": asked * row,
        "remarks": list(probe.remarks),
    }


def _seconds_per_sample(context: Context, module: Callable[[torch.Tensor], torch.Tensor]) -> float:
    """Return the time of one sample in a forward pass of a batch."""
    train = context.data.train
    rows = np.arange(min(32, len(train)))
    views = view(train.samples.read(rows), train.id_numbers[rows], PLAIN, 0, context.recipe.augment)
    with torch.inference_mode():
        module(views[:2])
        started = time.perf_counter()
        module(views)
    return (time.perf_counter() - started) / len(rows)


def plan_table(plan: Mapping[str, Any]) -> Group:
    """Return the plan for the terminal."""
    data = plan["data"]
    teachers = Table(
        header_style="bold",
        box=box.SIMPLE_HEAD,
        show_edge=False,
        pad_edge=False,
        title="teachers",
        title_justify="left",
    )
    score = f"val {spelt(plan['metric'])}"
    for column in ("name", "model", "input", "parameters", "classes", score, "labels it saw"):
        teachers.add_column(column, no_wrap=column == "input")
    for t in plan["teachers"]:
        unknown = [label for label, group in t["aligned"] if not group]
        count = len(t["aligned"])
        match = f"{count - len(unknown)} of the data's {count}, by name"
        match = "the data's, in order" if t["same_classes"] else match
        match += f"; not {join_first(unknown)}" if unknown else ""
        teachers.add_row(
            *(
                Text(c)
                for c in (
                    t["name"],
                    t["model"],
                    _input(t["input_size"], bool(data["columns"])),
                    count_in_words(t["parameters"]),
                    match,
                    _score(t),
                    t["labels_seen"],
                )
            )
        )
    remarks = [Text(line) for t in plan["teachers"] for line in t["remarks"]]
    phases = Table(
        header_style="bold",
        box=box.SIMPLE_HEAD,
        show_edge=False,
        pad_edge=False,
        title="phases",
        title_justify="left",
    )
    phases.add_column("phase")
    phases.add_column("about", justify="right")
    for phase in plan["phases"]:
        phases.add_row(phase["phase"], f"{phase['seconds']:.1f} s" if phase["seconds"] else "kept")
    phases.add_row("in all", f"{plan['seconds']:.0f} s", style="bold")
    student = plan["student"]
    shape = f"{data['channels']} x {data['size']} x {data['size']} px"
    taken = f"input {student['input_size']} px"
    if data["columns"]:
        shape = taken = f"{data['columns']} columns"
    lines = [
        f"data: {data['name']}, {len(data['classes'])} {data['kind']}, {shape}; {data['train']} to train on "
        f"({data['train_labelled']} labelled), {data['val']} to validate, {data['test']} to test",
        f"student: {student['model']}, {taken}, "
        f"{student['parameters']:,} parameters, {bytes_in_words(student['bytes'])}",
        f"training: {plan['steps']} steps for each of {plan['candidates']} candidates; "
        f"views: {plan['views']}; kd_ratio {plan['kd_ratio']}",
        f"augment: {plan['augment']}; batch_size {plan['batch_size']}"
        + (f"; chosen automatically: {'; '.join(plan['automatic'])}" if plan["automatic"] else ""),
        f"to be recorded: {bytes_in_words(plan['record_bytes'])}, into {content_store.root()}",
    ]
    warnings = [f"warning: {warning}" for warning in plan["warnings"]]
    warnings += [
        f"warning: teacher {t['name']}: {doubt}"
        for t in plan["teachers"]
        for doubt in (t["validation"] or {"doubts": ()})["doubts"]
    ]
    if warnings:
        warnings = ["", *warnings]
    shown = (Text(line, style="yellow") for line in warnings)
    return Group(*(Text(line) for line in lines), Text(), teachers, *remarks, *shown, Text(), phases)


def _score(teacher: Mapping[str, Any]) -> str:
    """Return a teacher's primary metric on validation; of one that has to be fitted first, how that is."""
    if teacher["validation"] is None:
        return f"fit: {teacher['fit']}"
    score = next(iter(teacher["validation"]["metrics"].values()), None)
    return "-" if score is None else f"{score:.3g}"


def _input(size: int | None, table: bool) -> str:
    """Return what a teacher is shown, in words."""
    if size is None:
        return "sample ids"
    return "table" if table else f"{size} px"
