"""Check a recipe: its data, models, and required memory and disk space."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mtkd_cli.doctor import contents
from mtkd_cli.doctor.finding import Finding, collect_failures
from mtkd_cli.doctor.plan_checks import check_disk, check_memory, check_teacher
from mtkd_cli.files.temporary import temporary_folder
from mtkd_cli.models.cost import measure_cost
from mtkd_cli.models.preprocess import with_preprocessing
from mtkd_cli.recipe.resolve import Resolved
from mtkd_cli.report.units import bytes_in_words, count_in_words, measured_on, milliseconds
from mtkd_cli.runs.pipeline import prepare
from mtkd_cli.runs.planned_teacher import PlannedTeacher, plan_teacher
from mtkd_cli.runs.rehearsal import try_recipe
from mtkd_cli.runs.students import build_untrained
from mtkd_cli.runs.view_count import count_views
from mtkd_cli.teachers.prepare import report_views
from mtkd_cli.teachers.resolved_teacher import resolve_teachers
from mtkd_cli.training.context import Context
from mtkd_cli.training.evaluation import plain_views
from mtkd_cli.training.progress import Progress
from mtkd_cli.training.strategy import Strategy


def check_recipe(parts: Resolved) -> list[Finding]:
    """Check a recipe's data and models; the store is not changed."""
    findings: list[Finding] = []
    with collect_failures("files", findings):
        findings += contents.check_images(parts.data)
    with temporary_folder() as folder, collect_failures("data", findings):
        with _temporary_store(folder):
            context = prepare(parts, "cpu", Progress())
        findings += contents.check_splits(context)
        findings += contents.check_duplicates(context)
        findings += _check_models(context)
    return findings


def _check_models(context: Context) -> Iterator[Finding]:
    """Load and run the teachers and the student, then estimate the memory and disk space for them."""
    views, teachers = count_views(context.recipe), resolve_teachers(context)
    planned: list[PlannedTeacher] = []
    findings: list[Finding] = []
    with collect_failures("views", findings):
        report_views(teachers, views, context)
    for teacher in teachers:
        with collect_failures(f"teacher {teacher.name}", findings):
            planned.append(plan_teacher(teacher, context, views, thorough=True))
            findings += check_teacher(planned[-1].facts)
    student_bytes = 0
    with collect_failures("student", findings):
        model = build_untrained(context)
        costs = measure_cost(model, next(iter(plain_views(context.data.train)))[:1], context.device)
        student_bytes = costs.bytes or 0
        with_preprocessing(model)
        summary = (
            f"{count_in_words(costs.parameters)} parameters, {bytes_in_words(student_bytes)}, "
            f"{milliseconds(costs.latency_ms)} per sample ({measured_on(costs)})"
        )
        findings.append(Finding("student", "ok", summary))
    if len(planned) == len(teachers):
        with collect_failures("strategy", findings):
            strategy = Strategy(context.parts.strategy)
            try_recipe(context, views, strategy, [teacher.tried for teacher in planned])
            name = context.recipe.strategy.name
            findings.append(Finding("strategy", "ok", f"{name} merges the outputs of a few samples"))
    yield from findings
    facts = [teacher.facts for teacher in planned]
    yield check_memory(facts, student_bytes)
    yield check_disk(sum(teacher["record_bytes"] for teacher in facts))


@contextmanager
def _temporary_store(folder: Path) -> Iterator[None]:
    """Use ``folder`` as the store within the block."""
    before = os.environ.get("MTKD_STORE")
    os.environ["MTKD_STORE"] = str(folder)
    try:
        yield
    finally:
        if before is None:
            del os.environ["MTKD_STORE"]
        else:
            os.environ["MTKD_STORE"] = before
