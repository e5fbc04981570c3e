"""Check a recipe: its data, its teachers, the memory and the disk that it needs."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from mtkd_cli.doctor import contents
from mtkd_cli.doctor.environment import existing, free_memory
from mtkd_cli.doctor.finding import Finding, failing
from mtkd_cli.models.cost import facts
from mtkd_cli.models.preprocess import prepared
from mtkd_cli.recipe.resolve import Resolved
from mtkd_cli.report.metric_names import spelt
from mtkd_cli.report.summary import count_in_words
from mtkd_cli.report.units import bytes_in_words, milliseconds
from mtkd_cli.runs.pipeline import prepare
from mtkd_cli.runs.plan import teacher_facts
from mtkd_cli.runs.students import build
from mtkd_cli.runs.view_count import views_of
from mtkd_cli.store import content_store
from mtkd_cli.teachers.prepare import tell_views
from mtkd_cli.teachers.resolved_teacher import resolved_teachers
from mtkd_cli.training.context import Context
from mtkd_cli.training.evaluation import plain_views
from mtkd_cli.training.progress import Progress

STUDENT_COPIES = 4
"""Weights, gradients and the two moments of AdamW."""


def recipe(parts: Resolved) -> list[Finding]:
    """Return how a recipe's data and models are. The store is as it was before."""
    findings: list[Finding] = []
    with failing("files", findings):
        findings += contents.unreadable(parts.data)
    with tempfile.TemporaryDirectory() as folder, failing("data", findings):
        with _store_in(folder):
            context = prepare(parts, "cpu", Progress())
        findings += contents.splits(context)
        findings += contents.repeated(context)
        findings += _models(context)
    return findings


def _models(context: Context) -> Iterator[Finding]:
    """Yield what the teachers answer, and the student; then what they take."""
    views, teachers = views_of(context.recipe), resolved_teachers(context)
    told = []
    findings: list[Finding] = []
    with failing("views", findings):
        tell_views(teachers, views, context)
    for teacher in teachers:
        check = f"teacher {teacher.name}"
        with failing(check, findings):
            about = teacher_facts(teacher, context, views, thorough=True)
            told.append(about)
            known = sum(bool(group) for _, group in about["aligned"])
            fit = f", fitted here ({about['fit']})" if about["fit"] else ""
            what = f"{count_in_words(about['parameters'])} parameters"
            if teacher.by_id:
                what = "answers by sample id"
            line = f"{what}; knows {known} of {len(about['aligned'])} classes{fit}"
            findings.append(Finding(check, "ok" if known else "warn", line))
            findings += _validation(check, about["validation"])
            findings += [Finding(check, "warn", remark.partition(": ")[2]) for remark in about["remarks"]]
    student = 0
    with failing("student", findings):
        model = build(context)
        costs = facts(model, next(iter(plain_views(context.data.train)))[:1])
        student = costs.bytes or 0
        prepared(model)
        line = (
            f"{count_in_words(costs.parameters)} parameters, {bytes_in_words(student)}, "
            f"{milliseconds(costs.latency_ms)} a sample"
        )
        findings.append(Finding("student", "ok", line))
    yield from findings
    yield _memory(max(((about["parameters"] or 0) * 4 for about in told), default=0), student)
    yield _disk(sum(about["record_bytes"] for about in told))


def _validation(check: str, validation: Mapping[str, Any] | None) -> Iterator[Finding]:
    """Yield how a teacher does on validation; nothing of one that is fitted first."""
    if validation is None:
        return
    if not validation["doubts"]:
        name, score = next(iter(validation["metrics"].items()), ("", None))
        told = f"{spelt(name)} {score:.3g}" if score is not None else "no score"
        if validation["chance"] is not None:
            told += f", {validation['chance']:.3g} with shuffled labels"
        yield Finding(check, "ok", f"on {validation['labels']} validation labels: {told}")
    for doubt in validation["doubts"]:
        what, _, hint = doubt.rpartition("; ")
        yield Finding(check, "warn", what, hint)


def _memory(teacher: int, student: int) -> Finding:
    wanted, free = max(teacher, STUDENT_COPIES * student), free_memory()
    line = f"weights: largest teacher {bytes_in_words(teacher)}, student in training "
    line += f"{bytes_in_words(STUDENT_COPIES * student)}, besides what batches take"
    if free is not None and wanted > free / 2:
        return Finding(
            "memory for models", "warn", f"{line}; {bytes_in_words(free)} are free", "smaller batches"
        )
    return Finding("memory for models", "ok", line)


def _disk(wanted: int) -> Finding:
    free = shutil.disk_usage(existing(content_store.root())).free
    line = f"{bytes_in_words(wanted)} of outputs are still to be recorded, {bytes_in_words(free)} are free"
    if wanted > free:
        return Finding("disk for outputs", "fail", line, "store.top_k, views or MTKD_STORE on another disk")
    return Finding("disk for outputs", "ok", line)


@contextmanager
def _store_in(folder: str) -> Iterator[None]:
    """Let what loading keeps go into a folder that is removed."""
    before = os.environ.get("MTKD_STORE")
    os.environ["MTKD_STORE"] = folder
    try:
        yield
    finally:
        if before is None:
            del os.environ["MTKD_STORE"]
        else:
            os.environ["MTKD_STORE"] = before
