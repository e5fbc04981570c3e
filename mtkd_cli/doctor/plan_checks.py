"""Check what a plan found: teachers, memory and disk. Used by ``mtkd doctor`` and ``--dry-run``."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from typing import Any

from mtkd_cli.doctor.contents import check_splits
from mtkd_cli.doctor.environment import free_memory, nearest_existing
from mtkd_cli.doctor.finding import Finding
from mtkd_cli.report.metric_names import spelt
from mtkd_cli.report.units import bytes_in_words, count_in_words
from mtkd_cli.store import content_store
from mtkd_cli.training.context import Context

STUDENT_COPIES = 4
"""Copies of the student's size in training: weights, gradients and the two moments of AdamW."""


def check_plan(context: Context, plan: Mapping[str, Any]) -> Iterator[Finding]:
    """Check the splits of a run and what its plan says; loads nothing.

    Args:
        context: the run.
        plan: facts of `mtkd_cli.runs.plan.make_plan`.
    """
    yield from check_splits(context)
    for teacher in plan["teachers"]:
        yield from check_teacher(teacher)
    yield check_memory(plan["teachers"], plan["student"]["bytes"] or 0)
    yield check_disk(plan["record_bytes"])


def check_teacher(facts: Mapping[str, Any]) -> Iterator[Finding]:
    """Report a teacher's size, classes, score on validation and remarks.

    Args:
        facts: facts of `mtkd_cli.runs.planned_teacher.plan_teacher`.
    """
    check = f"teacher {facts['name']}"
    known = sum(bool(group) for _, group in facts["aligned"])
    size = "outputs by sample id"
    if facts["parameters"] is not None:
        size = f"{count_in_words(facts['parameters'])} parameters"
    fit = f", fitted by this recipe ({facts['fit']})" if facts["fit"] else ""
    summary = f"{size}; has {known} of {len(facts['aligned'])} classes{fit}"
    yield Finding(check, "ok" if known else "warn", summary)
    yield from _check_validation(check, facts["validation"])
    for remark in facts["remarks"]:
        what, _, hint = remark.removeprefix("warning: ").partition(": ")[2].rpartition("; ")
        yield Finding(check, "warn", what, hint) if what else Finding(check, "warn", hint)


def _check_validation(check: str, validation: Mapping[str, Any] | None) -> Iterator[Finding]:
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


def check_memory(teachers: list[dict[str, Any]], student_bytes: int) -> Finding:
    """Compare the memory that models need with what is free."""
    teacher_bytes = max(((teacher["parameters"] or 0) * 4 for teacher in teachers), default=0)
    needed, free = max(teacher_bytes, STUDENT_COPIES * student_bytes), free_memory()
    summary = f"weights: largest teacher {bytes_in_words(teacher_bytes)}, student in training "
    summary += f"{bytes_in_words(STUDENT_COPIES * student_bytes)}, without activations"
    if free is not None and needed > free / 2:
        return Finding(
            "memory for models", "warn", f"{summary}; {bytes_in_words(free)} free", "use smaller batches"
        )
    return Finding("memory for models", "ok", summary)


def check_disk(needed: int) -> Finding:
    """Compare the disk space that outputs need with what is free."""
    free = shutil.disk_usage(nearest_existing(content_store.root())).free
    summary = f"{bytes_in_words(needed)} of outputs to record, {bytes_in_words(free)} free"
    if needed > free:
        hint = "set store.top_k, use fewer views, or move the store with MTKD_STORE"
        return Finding("disk for outputs", "fail", summary, hint)
    return Finding("disk for outputs", "ok", summary)
