"""Prepare the teachers: load, fit, probe and record each in turn, one in memory at a time."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from mtkd_cli.data.dataset import Split
from mtkd_cli.data.views import PLAIN
from mtkd_cli.distributed import group as process_group
from mtkd_cli.errors import UsageError
from mtkd_cli.files import atomic
from mtkd_cli.interfaces import Model
from mtkd_cli.models.cost import measure_cost
from mtkd_cli.models.preprocess import with_preprocessing
from mtkd_cli.store import content_store, recorded_outputs
from mtkd_cli.store.recorded_outputs import Recorded
from mtkd_cli.store.rounding import in_words
from mtkd_cli.store.row_format import Layout, kept_of
from mtkd_cli.teachers import inference, recording
from mtkd_cli.teachers.calibration import calibrated
from mtkd_cli.teachers.checks import table_of, validate_live, validate_recorded
from mtkd_cli.teachers.fine_tuning import fitted
from mtkd_cli.teachers.inference import Ask
from mtkd_cli.teachers.load import load_teacher
from mtkd_cli.teachers.outputs import ReadyTeacher, alignment_of
from mtkd_cli.teachers.probe import Probed, probed, some_views
from mtkd_cli.teachers.recording import RecordingJob
from mtkd_cli.teachers.resolved_teacher import ResolvedTeacher, resolved_teachers
from mtkd_cli.teachers.validation import Doubt, Validated
from mtkd_cli.training.context import Context

FACTS_FORMAT = 3
"""Changes when the facts that are kept of a teacher, or their meaning, change."""


def prepare_teachers(
    context: Context, views: int | None, teachers: Sequence[ResolvedTeacher] | None = None
) -> list[ReadyTeacher]:
    """Return the teachers with what a run needs of them recorded.

    Args:
        context: the run.
        views: recorded views of the training samples; None where teachers answer live.
        teachers: its teachers, if they are resolved already.

    Raises:
        MtkdError: a teacher that cannot be loaded, fitted or understood; it is named.
    """
    resolved = resolved_teachers(context) if teachers is None else teachers
    tell_views(resolved, views, context)
    warned = {teacher.name: _check(teacher, views, context) for teacher in resolved}
    found = [_prepare(teacher, views, context) for teacher in resolved]
    _tell_rounding(found, context)
    found = _validated(found, warned, context)
    return calibrated(found, context) if context.recipe.calibrate else found


def _validated(
    teachers: list[ReadyTeacher], warned: Mapping[str, tuple[Doubt, ...]], context: Context
) -> list[ReadyTeacher]:
    """Return the teachers with their validation; show it, and warn of those not warned of yet."""
    found = {teacher.name: validate_recorded(teacher, context) for teacher in teachers}
    for name, early in warned.items():
        if early:
            found[name] = replace(found[name], doubts=early)
        else:
            _warn(name, found[name], context)
    table = table_of(found, context.task.primary.name)
    context.progress.remark([], table, about=("validation", found))
    return [replace(teacher, validation=found[teacher.name]) for teacher in teachers]


def _warn(name: str, validation: Validated, context: Context) -> None:
    """Say what looks wrong with a teacher."""
    for doubt in validation.doubts:
        context.progress.say(f"warning: teacher {name}: {doubt}")


def _tell_rounding(teachers: list[ReadyTeacher], context: Context) -> None:
    """Say how much recording changed the teachers' outputs, whether they were recorded now or before."""
    kind = kept_of(context.recipe, context.task)["kind"]
    parts = [f"{t.name}: {in_words(t.rounding, kind)}" for t in teachers if t.rounding is not None]
    if parts:
        context.progress.say(f"rounding of recorded outputs: {'; '.join(parts)}")


def tell_views(teachers: Iterable[ResolvedTeacher], views: int | None, context: Context) -> None:
    """Say which teachers' answers are of the plain view alone, if a run shows others; see `prepare_teachers`.

    Raises:
        UsageError: these answers are maps or boxes, which do not follow a view.
    """
    names = [teacher.name for teacher in teachers if teacher.by_id]
    if not names or views in (0, 1):
        return
    if context.task.spatial:
        raise UsageError(
            "predictions have places: they are those of the plain sample, other views move it",
            where=f"teacher {names[0]!r}",
            hint="set views: 1",
        )
    context.progress.say(f"{', '.join(names)}: answers by sample id; those to view 0 serve every view")


def arrays_of(context: Context, views: int | None, by_id: bool = False) -> list[tuple[Split, int]]:
    """Return the (split, view number) pairs that a run reads of a teacher."""
    data, number = context.data, views or 0
    if by_id:
        number = 0 if views == 0 else 1
    return [(data.val, PLAIN), (data.test, PLAIN), *((data.train, each) for each in range(number))]


def _prepare(teacher: ResolvedTeacher, views: int | None, context: Context) -> ReadyTeacher:
    wanted, live = arrays_of(context, views, teacher.by_id), views is None and not teacher.by_id
    arrays, about = process_group.first_then_others(
        lambda: (
            find_recorded(teacher, wanted, context),
            content_store.find("teachers", _facts_key(teacher, context)),
        )
    )
    known = _facts_in(about) if about else {}
    model: Model | None = None
    here = [(split.name, number) for split, number in wanted if (split.name, number) not in arrays]
    known_before, lacking = process_group.broadcast((about is not None, here))
    if (known_before and not about) or not set(here) <= set(lacking):
        raise content_store.not_here(content_store.root())
    if live or not known_before or lacking:
        untouched = load_teacher(teacher.part, teacher.entry, context.data, context.task)
        model = fitted(untouched, teacher, context)
        probe = probed(model, teacher.entry, [context.data.val], context)
        model, shape = probe.model, probe.shape
        known = _facts_in(_described(probe, teacher, context))
        missing = [(split, number) for split, number in wanted if (split.name, number) in lacking]
        arrays |= _record(model, teacher, shape, missing, context)
    return ReadyTeacher(
        teacher,
        context.task,
        alignment_of(teacher.entry, known["classes"], known["outputs"], context),
        known,
        arrays,
        with_preprocessing(model).to(context.device).eval().requires_grad_(False) if live and model else None,
    )


def _check(teacher: ResolvedTeacher, views: int | None, context: Context) -> tuple[Doubt, ...]:
    """Ask a teacher that is not known yet about a few samples, before any other is fitted or recorded.

    Returns:
        What looks wrong with it on validation; it was said.
    """
    about = content_store.find("teachers", _facts_key(teacher, context))
    if about:
        known = _facts_in(about)
        context.progress.remark(known["remarks"], about=teacher.name)
        alignment_of(teacher.entry, known["classes"], known["outputs"], context)
        return ()
    model = load_teacher(teacher.part, teacher.entry, context.data, context.task)
    splits = [split for split, _ in arrays_of(context, views, teacher.by_id)]
    probe = probed(model, teacher.entry, splits, context)
    context.progress.remark(probe.remarks, about=teacher.name)
    alignment = alignment_of(teacher.entry, probe.model.classes, probe.shape[0], context)
    if teacher.entry.fit:
        return ()
    validation = validate_live(probe.model, teacher.name, alignment, context, thorough=False)
    _warn(teacher.name, validation, context)
    return validation.doubts


def find_recorded(
    teacher: ResolvedTeacher, wanted: list[tuple[Split, int]], context: Context
) -> dict[tuple[str, int], Recorded]:
    """Return the arrays that are complete, by split name and view number."""
    found = {}
    for split, number in wanted:
        array = recorded_outputs.find(
            recording.key(teacher.key, split, number, context.recipe, context.task), len(split)
        )
        if array is not None:
            found[split.name, number] = array
    return found


def _record(
    model: Model,
    teacher: ResolvedTeacher,
    shape: tuple[int, ...],
    missing: list[tuple[Split, int]],
    context: Context,
) -> dict[tuple[str, int], Recorded]:
    """Record what is missing; a teacher is loaded once for all of it."""
    if not missing:
        return {}
    recipe, task = context.recipe, context.task
    ask = asker(model, teacher.name, [split for split, _ in missing], context, fast=True)
    jobs = [
        RecordingJob(
            teacher.name,
            ask,
            Layout.of(shape, recipe, task),
            split,
            number,
            recording.key(teacher.key, split, number, recipe, task),
            recording.batch_size(model.input.size or 1, context.device),
            context.device,
            keep_gaps=recipe.store.on_nan == "drop",
        )
        for split, number in missing
    ]
    arrays = recording.record_all(jobs, f"record {teacher.name}", context.progress)
    return {(job.split.name, job.view): array for job, array in zip(jobs, arrays, strict=True)}


def asker(model: Model, name: str, splits: Sequence[Split], context: Context, fast: bool = False) -> Ask:
    """Return what asks a teacher about samples of some splits.

    Args:
        model: the teacher.
        name: its name.
        splits: where it will be asked.
        context: the run.
        fast: whether it may be folded.
    """
    recipe, device = context.recipe, context.device
    if model.predictions is not None:
        return inference.by_id(model, splits, f"teacher {name!r}", recipe.store.on_nan)
    if not fast:
        return inference.by_views(with_preprocessing(model).to(device).eval(), recipe, device)
    module, difference = recording.for_recording(model, some_views(context.data.val), device)
    if difference:
        context.progress.events.logged(
            f"teacher {name}: folding moved its answers by at most {difference:.2e}"
        )
    return inference.by_views(module, recipe, device)


def _facts_key(teacher: ResolvedTeacher, context: Context) -> dict[str, Any]:
    """Return everything that decides what is known of a teacher; latencies are those of a device."""
    measured_on = {name: context.engine[name] for name in ("device", "threads")}
    return {"format": FACTS_FORMAT, "measured_on": measured_on, **teacher.key}


def _described(probe: Probed, teacher: ResolvedTeacher, context: Context) -> Path:
    """Return the folder of what is known of a teacher once it was loaded, so that it need not be again."""
    model, outputs = probe.model, probe.shape[0]
    alignment_of(teacher.entry, model.classes, outputs, context)

    def write(folder: Path) -> None:
        known = {
            "costs": asdict(measure_cost(model, some_views(context.data.val)[:1], context.device)),
            "input_size": model.input.size,
            "outputs": outputs,
            "classes": list(model.classes) if model.classes else None,
            "remarks": list(probe.remarks),
        }
        atomic.write_json(folder / "facts.json", known)

    return content_store.keep("teachers", _facts_key(teacher, context), write)


def _facts_in(folder: Path) -> dict[str, Any]:
    with atomic.disk_errors(folder):
        facts: dict[str, Any] = json.loads((folder / "facts.json").read_text())
    return facts
