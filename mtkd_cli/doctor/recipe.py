"""Check a recipe: its data, models, and required memory and disk space."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from mtkd_cli.doctor import contents
from mtkd_cli.doctor.environment import free_memory, nearest_existing
from mtkd_cli.doctor.finding import Finding, collect_failures
from mtkd_cli.models.cost import measure_cost
from mtkd_cli.models.preprocess import with_preprocessing
from mtkd_cli.recipe.resolve import Resolved
from mtkd_cli.report.metric_names import spelt
from mtkd_cli.report.units import bytes_in_words, count_in_words, measured_on, milliseconds
from mtkd_cli.runs.pipeline import prepare
from mtkd_cli.runs.plan import plan_teacher
from mtkd_cli.runs.students import build_untrained
from mtkd_cli.runs.view_count import count_views
from mtkd_cli.store import content_store
from mtkd_cli.teachers.prepare import report_views
from mtkd_cli.teachers.resolved_teacher import resolve_teachers
from mtkd_cli.training.context import Context
from mtkd_cli.training.evaluation import plain_views
from mtkd_cli.training.progress import Progress

STUDENT_COPIES = 4
"""Copies of the student's size in training: weights, gradients and the two moments of AdamW."""


def check_recipe(parts: Resolved) -> list[Finding]:
    """Check a recipe's data and models; the store is not changed."""
    findings: list[Finding] = []
    with collect_failures("files", findings):
        findings += contents.check_images(parts.data)
    with tempfile.TemporaryDirectory() as folder, collect_failures("data", findings):
        with _temporary_store(folder):
            context = prepare(parts, "cpu", Progress())
        findings += contents.check_splits(context)
        findings += contents.check_duplicates(context)
        findings += _models(context)
    return findings


def _models(context: Context) -> Iterator[Finding]:
    """Load and run the teachers and the student, then estimate the memory and disk space for them."""
    views, teachers = count_views(context.recipe), resolve_teachers(context)
    checked = []
    findings: list[Finding] = []
    with collect_failures("views", findings):
        report_views(teachers, views, context)
    for teacher in teachers:
        check = f"teacher {teacher.name}"
        with collect_failures(check, findings):
            about = plan_teacher(teacher, context, views, thorough=True)
            checked.append(about)
            mapped = sum(bool(group) for _, group in about["aligned"])
            fit = f", fitted by this recipe ({about['fit']})" if about["fit"] else ""
            size = f"{count_in_words(about['parameters'])} parameters"
            if teacher.by_id:
                size = "outputs by sample id"
            summary = f"{size}; has {mapped} of {len(about['aligned'])} classes{fit}"
            findings.append(Finding(check, "ok" if mapped else "warn", summary))
            findings += _validation(check, about["validation"])
            findings += [Finding(check, "warn", remark.partition(": ")[2]) for remark in about["remarks"]]
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
    yield from findings
    yield _memory(max(((about["parameters"] or 0) * 4 for about in checked), default=0), student_bytes)
    yield _disk(sum(about["record_bytes"] for about in checked))


def _validation(check: str, validation: Mapping[str, Any] | None) -> Iterator[Finding]:
    """Yield a teacher's score on validation and any warnings; nothing for one that must be fitted first."""
    if validation is None:
        return
    if not validation["doubts"]:
        name, score = next(iter(validation["metrics"].items()), ("", None))
        result = f"{spelt(name)} {score:.3g}" if score is not None else "no score"
        if validation["chance"] is not None:
            result += f", {validation['chance']:.3g} with shuffled labels"
        yield Finding(check, "ok", f"on {validation['labels']} validation labels: {result}")
    for doubt in validation["doubts"]:
        what, _, hint = doubt.rpartition("; ")
        yield Finding(check, "warn", what, hint)


def _memory(teacher_bytes: int, student_bytes: int) -> Finding:
    needed, free = max(teacher_bytes, STUDENT_COPIES * student_bytes), free_memory()
    summary = f"weights: largest teacher {bytes_in_words(teacher_bytes)}, student in training "
    summary += f"{bytes_in_words(STUDENT_COPIES * student_bytes)}, without activations"
    if free is not None and needed > free / 2:
        return Finding(
            "memory for models", "warn", f"{summary}; {bytes_in_words(free)} free", "use smaller batches"
        )
    return Finding("memory for models", "ok", summary)


def _disk(needed: int) -> Finding:
    free = shutil.disk_usage(nearest_existing(content_store.root())).free
    summary = f"{bytes_in_words(needed)} of outputs to record, {bytes_in_words(free)} free"
    if needed > free:
        hint = "set store.top_k, use fewer views, or move the store with MTKD_STORE"
        return Finding("disk for outputs", "fail", summary, hint)
    return Finding("disk for outputs", "ok", summary)


@contextmanager
def _temporary_store(folder: str) -> Iterator[None]:
    """Use ``folder`` as the store within the block."""
    before = os.environ.get("MTKD_STORE")
    os.environ["MTKD_STORE"] = folder
    try:
        yield
    finally:
        if before is None:
            del os.environ["MTKD_STORE"]
        else:
            os.environ["MTKD_STORE"] = before
