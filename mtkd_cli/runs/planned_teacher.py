"""What a run would do with a teacher, and what is known of it once it is loaded."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from mtkd_cli.data.views import PLAIN, views_of
from mtkd_cli.models.cost import STEP_PER_FORWARD, count_macs, count_weights
from mtkd_cli.models.preprocess import with_preprocessing
from mtkd_cli.recipe.schema import Fit
from mtkd_cli.runs.rehearsal import TriedTeacher, try_teacher
from mtkd_cli.runs.report_facts import labels_seen
from mtkd_cli.store import content_store
from mtkd_cli.store.row_format import Layout
from mtkd_cli.teachers.checks import validate_live
from mtkd_cli.teachers.fit_classes import fit_split_of
from mtkd_cli.teachers.load import load_teacher
from mtkd_cli.teachers.outputs import align_teacher
from mtkd_cli.teachers.prepare import find_recorded, needed_arrays
from mtkd_cli.teachers.probe import probe_teacher, sample_views
from mtkd_cli.teachers.resolved_teacher import ResolvedTeacher
from mtkd_cli.training.context import Context
from mtkd_cli.training.step_threads import step_macs, threads_of_step

LOOKUP_SECONDS = 1e-6
"""Approximate time to look up one output in a file."""
TIMED_SAMPLES = 32
"""Maximum number of samples in the batch whose forward pass is timed."""
TIMED_PASSES = 3
"""Number of forward passes that are timed; other programs disturb some of them."""


@dataclass(frozen=True)
class PlannedTeacher:
    """A teacher of a plan.

    Attributes:
        facts: what a plan says of it, as JSON has it.
        tried: the teacher with its outputs on a few validation samples.
    """

    facts: dict[str, Any]
    tried: TriedTeacher


def plan_teacher(
    teacher: ResolvedTeacher, context: Context, views: int | None, thorough: bool = False
) -> PlannedTeacher:
    """Load a teacher, ask it about a few samples, and return what a run would do with it.

    Args:
        teacher: the teacher.
        context: the run.
        views: number of recorded views of the training samples; None if teachers answer live.
        thorough: see `validate_live`.
    """
    data, fit = context.data, teacher.entry.fit
    model = load_teacher(teacher.part, teacher.entry, data, context.task)
    wanted = needed_arrays(context, views, teacher.by_id)
    probe = probe_teacher(model, teacher.entry, [split for split, _ in wanted], context)
    model, shape = probe.model, probe.shape
    seconds = LOOKUP_SECONDS
    if not teacher.by_id:
        seconds = measure_seconds_per_sample(context, with_preprocessing(model).eval())
    alignment = align_teacher(teacher.entry, model.classes, shape[0], context)
    validation = None
    if fit is None:
        validation = validate_live(model, teacher.name, alignment, context, thorough).as_dict()
    macs = 0.0 if teacher.by_id else count_macs(with_preprocessing(model), sample_views(data.train))
    passes = 0.0
    if fit and teacher.fit_key and content_store.find("fitted", teacher.fit_key) is None:
        chosen = fit_split_of(fit, context)
        seen = len(chosen.rows) + len(chosen.held_out)
        passes = STEP_PER_FORWARD * fit.epochs * seen if fit.train == "all" else seen + len(data.val)
    recorded = find_recorded(teacher, wanted, context)
    to_record = [split for split, number in wanted if (split.name, number) not in recorded]
    missing = sum(len(split) for split in to_record)
    layouts = [Layout.for_recipe(shape, context.recipe, context.task, split.name) for split in to_record]
    live = context.recipe.train.epochs * len(data.train) if views is None else 0
    facts = {
        "name": teacher.name,
        "model": teacher.entry.model,
        "input_size": None if teacher.by_id else model.input.size,
        "parameters": None if teacher.by_id else count_weights(model)[0],
        "macs": macs,
        "fit_threads": _fit_threads(macs, fit, context) if fit else None,
        "same_classes": alignment.is_identity(len(model.classes or data.classes)),
        "aligned": [
            [label, list(group)] for label, group in zip(data.classes, alignment.groups, strict=True)
        ],
        "fit": fit.train if fit else None,
        "labels_seen": labels_seen(teacher.entry, context),
        "validation": validation,
        "fit_seconds": passes * seconds,
        "record_seconds": (missing + live) * seconds,
        "record_bytes": sum(
            len(split) * layout.dtype.itemsize for split, layout in zip(to_record, layouts, strict=True)
        ),
        "remarks": list(probe.remarks),
    }
    known = {**facts, "classes": list(model.classes) if model.classes else None}
    return PlannedTeacher(facts, try_teacher(teacher, model, alignment, known, context))


def _fit_threads(macs: float, fit: Fit, context: Context) -> int:
    """Return the number of threads of the steps in which a teacher is fitted."""
    # a head has no more work than a thread can do
    work = step_macs(macs, 0.0, fit.batch_size, 1) if fit.train == "all" else 0.0
    return threads_of_step(context, work)


def measure_seconds_per_sample(context: Context, module: Callable[[torch.Tensor], torch.Tensor]) -> float:
    """Return the time of one sample in a forward pass of a batch, in seconds: the shortest of a few."""
    train = context.data.train
    rows = np.arange(min(TIMED_SAMPLES, len(train)))
    views = views_of(train, rows, PLAIN, 0, context.recipe.augment)
    with torch.inference_mode():
        module(views[:2])
        seconds = []
        for _ in range(TIMED_PASSES):
            started = time.perf_counter()
            module(views)
            seconds.append(time.perf_counter() - started)
    return min(seconds) / len(rows)
