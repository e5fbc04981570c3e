"""The teachers of a run from the store alone: their recorded outputs, without loading a model."""

from __future__ import annotations

from mtkd_cli.errors import DataError, join_first
from mtkd_cli.store import content_store
from mtkd_cli.teachers.calibration import calibrate_teachers
from mtkd_cli.teachers.outputs import ReadyTeacher, align_teacher
from mtkd_cli.teachers.prepare import facts_key, find_recorded, needed_arrays, read_facts
from mtkd_cli.teachers.remote_recordings import fetch_recorded
from mtkd_cli.teachers.resolved_teacher import ResolvedTeacher, resolve_teachers
from mtkd_cli.training.context import Context


def recorded_teachers(context: Context, views: int, record: str) -> list[ReadyTeacher]:
    """Return the teachers with their recorded outputs, calibrated if the recipe says so.

    Args:
        context: context of the run.
        views: number of recorded views of the training samples.
        record: command that records the outputs again, for the message.

    Raises:
        DataError: recorded outputs are missing or damaged; names the teachers.
    """
    resolved = resolve_teachers(context)
    found = {teacher.name: _from_store(teacher, views, context) for teacher in resolved}
    missing = [name for name, ready in found.items() if ready is None]
    if missing:
        raise DataError(
            f"the recorded outputs of {join_first(missing)} are not in the store",
            where=str(content_store.root()),
            hint=f"record them again: {record}",
        )
    ready = [teacher for teacher in found.values() if teacher is not None]
    return calibrate_teachers(ready, context) if context.recipe.calibrate else ready


def _from_store(teacher: ResolvedTeacher, views: int, context: Context) -> ReadyTeacher | None:
    """Return a teacher; None if the store lacks some of its outputs, or its facts."""
    needed = needed_arrays(context, views, teacher.by_id)
    fetch_recorded(teacher, needed, context)
    arrays = find_recorded(teacher, needed, context)
    folder = content_store.find("teachers", facts_key(teacher, context))
    if folder is None or len(arrays) < len(needed):
        return None
    facts = read_facts(folder)
    alignment = align_teacher(teacher.entry, facts["classes"], facts["outputs"], context)
    return ReadyTeacher(teacher, context.task, alignment, facts, arrays)
