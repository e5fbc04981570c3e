"""The manifest of a run: everything its result depends on. A run resumes only if that is unchanged."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from mtkd_cli.errors import ResumeError, UsageError, short_repr
from mtkd_cli.files import hashing
from mtkd_cli.runs.baseline_choice import BaselineChoice
from mtkd_cli.teachers.identity import student_identity
from mtkd_cli.teachers.resolved_teacher import ResolvedTeacher
from mtkd_cli.training.context import Context

FORMAT = 1
COMPARED = ("format", "recipe", "data", "teachers", "student", "engine")
MAY_CHANGE: Mapping[str, Callable[[Any, Any], bool]] = {
    "recipe.train.epochs": lambda before, now: now > before,
    "recipe.trackers": lambda before, now: True,
}
"""Keys that may change when a run resumes, and a check of the old and new value."""


def describe_run(
    context: Context, teachers: Iterable[ResolvedTeacher], views: int | None, baseline: BaselineChoice
) -> dict[str, Any]:
    """Return the manifest of a run, with the hash of every teacher and file.

    Args:
        context: the run.
        teachers: its resolved teachers.
        views: number of recorded views; None if the teachers answer live.
        baseline: baselines that are trained.
    """
    recipe, data = context.recipe, context.data
    return {
        "format": FORMAT,
        "recipe": recipe.as_dict(),
        "data": {
            "classes": list(data.classes),
            "samples": {split.name: split.digest for split in data.splits},
            "labels": {
                split.name: hashing.array_sha256(split.samples.targets)
                for split in (*data.splits, data.all_labels)
            },
        },
        "teachers": {
            teacher.name: {
                "model": teacher.entry.model,
                "hash": teacher.hash,
                "checkpoint": teacher.key["model"]["checkpoint"],
            }
            for teacher in teachers
        },
        "student": student_identity(context.parts.student, recipe.student),
        "engine": context.engine,
        "device": str(context.device),
        "views": views,
        "baseline": str(baseline),
        **({"process_changes": changes.as_list()} if (changes := context.process_changes) else {}),
    }


def refuse_changes(before: Mapping[str, Any], now: Mapping[str, Any], run: str) -> list[str]:
    """Compare two manifests; return the allowed changes, in words.

    Args:
        before: manifest that the run began with.
        now: manifest of this command.
        run: name or folder of the run, for messages.

    Raises:
        ResumeError: another key changed; the error lists every such key with both values.
    """
    changes = [change for part in COMPARED for change in _differences(before.get(part), now.get(part), part)]
    refused = [
        UsageError(f"{key}: {short_repr(old)} became {short_repr(new)}", hint=_hint(key))
        for key, old, new in changes
        if key not in MAY_CHANGE or not MAY_CHANGE[key](old, new)
    ]
    if refused:
        raise ResumeError(run, refused)
    return [f"{key}: {short_repr(old)} became {short_repr(new)}" for key, old, new in changes]


def _differences(before: Any, now: Any, key: str) -> Iterator[tuple[str, Any, Any]]:
    """Yield each key whose value differs, with both values; None for a missing key."""
    if before == now:
        return
    if key in MAY_CHANGE:
        yield key, before, now
    elif isinstance(before, Mapping) and isinstance(now, Mapping):
        for name in dict.fromkeys((*before, *now)):
            yield from _differences(before.get(name), now.get(name), f"{key}.{name}")
    elif isinstance(before, list) and isinstance(now, list) and len(before) == len(now):
        for number, (old, new) in enumerate(zip(before, now, strict=True)):
            yield from _differences(old, new, f"{key}.{number}")
    else:
        yield key, before, now


def _hint(key: str) -> str:
    return "it can only be increased" if key == "recipe.train.epochs" else ""
