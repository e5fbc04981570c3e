"""Prepare the teachers: load, fit, probe and record each in turn, one in memory at a time."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
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
from mtkd_cli.store import content_store, recorded_outputs, shard_pieces
from mtkd_cli.store.recorded_outputs import RecordedArray
from mtkd_cli.store.rounding import describe_rounding
from mtkd_cli.store.row_format import Layout, storage_kind
from mtkd_cli.teachers import inference, recording, worker_recording
from mtkd_cli.teachers.calibration import calibrate_teachers
from mtkd_cli.teachers.checks import validate_live, validate_recorded, validation_table
from mtkd_cli.teachers.fine_tuning import fit_teacher
from mtkd_cli.teachers.load import load_teacher
from mtkd_cli.teachers.mixed_views import require_mixable
from mtkd_cli.teachers.outputs import ReadyTeacher, align_teacher
from mtkd_cli.teachers.probe import ProbeResult, probe_teacher, sample_views
from mtkd_cli.teachers.recorded_predictions import OutputFunction, encode_recorded
from mtkd_cli.teachers.recording import RecordingJob
from mtkd_cli.teachers.recording_module import recording_module, require_runtime
from mtkd_cli.teachers.remote_recordings import fetch_recorded, send_recorded
from mtkd_cli.teachers.resolved_teacher import ResolvedTeacher, resolve_teachers
from mtkd_cli.teachers.validation import Doubt, TeacherValidation
from mtkd_cli.training.context import Context
from mtkd_cli.training.progress import Progress

RecordAll = Callable[[Sequence[RecordingJob], str, Progress], list[RecordedArray]]
"""Function that records all jobs of a phase, given its name; returns their arrays in order."""

FACTS_FORMAT = 3
"""Version of ``facts.json``; part of the content key."""


def prepare_teachers(
    context: Context,
    views: int | None,
    teachers: Sequence[ResolvedTeacher] | None = None,
    as_worker: bool = False,
) -> list[ReadyTeacher]:
    """Load, fit and check the teachers, and record the outputs that a run needs.

    A worker first fits and records whatever no other worker is doing, for one teacher after the other, and
    then waits for the others.

    Args:
        context: context of the run.
        views: number of recorded views of the training samples; None to run teachers live.
        teachers: resolved teachers; by default those of the recipe.
        as_worker: share the work with independent workers; only within `worker_claims.claiming`.

    Raises:
        MtkdError: a teacher cannot be loaded, fitted or aligned; the message names it.
    """
    resolved = resolve_teachers(context) if teachers is None else teachers
    report_views(resolved, views, context)
    early_doubts = {teacher.name: _probe_early(teacher, views, context) for teacher in resolved}
    for teacher in resolved if as_worker else ():
        _contribute(teacher, views, context)
    record_all = worker_recording.finish if as_worker else recording.record_all
    ready = [_prepare(teacher, views, context, record_all) for teacher in resolved]
    if as_worker:
        for array in [array for teacher in ready for array in teacher.arrays.values()]:
            shard_pieces.remove_leftovers(array.folder)
    _report_rounding(ready, context)
    ready = _validate(ready, early_doubts, context)
    return calibrate_teachers(ready, context) if context.recipe.calibrate is True else ready


def _validate(
    teachers: list[ReadyTeacher], early_doubts: Mapping[str, tuple[Doubt, ...]], context: Context
) -> list[ReadyTeacher]:
    """Add the validation to the teachers and show it; warn about teachers without earlier warnings."""
    validations = {teacher.name: validate_recorded(teacher, context) for teacher in teachers}
    for name, doubts in early_doubts.items():
        if doubts:
            validations[name] = replace(validations[name], doubts=doubts)
        else:
            _show_doubts(name, validations[name], context)
    if len(context.data.val.labeled):
        table = validation_table(validations, context.task.primary.name)
        context.progress.remark([], table, about=("validation", validations))
    return [replace(teacher, validation=validations[teacher.name]) for teacher in teachers]


def _show_doubts(name: str, validation: TeacherValidation, context: Context) -> None:
    """Show a warning for each doubt about a teacher."""
    for doubt in validation.doubts:
        context.progress.say(f"warning: teacher {name}: {doubt}")


def _report_rounding(teachers: list[ReadyTeacher], context: Context) -> None:
    """Report how much recording changed the teachers' outputs, also if they were recorded earlier."""
    kind = storage_kind(context.task)
    texts = [f"{t.name}: {describe_rounding(t.rounding, kind)}" for t in teachers if t.rounding is not None]
    if texts:
        context.progress.say(f"rounding of recorded outputs: {'; '.join(texts)}")


def report_views(teachers: Iterable[ResolvedTeacher], views: int | None, context: Context) -> None:
    """Report the teachers whose outputs exist for the plain view only, if a run uses other views.

    Raises:
        UsageError: these outputs are maps or boxes, which other views would move; or samples are mixed that
            cannot be, see `require_mixable`.
    """
    teachers = tuple(teachers)
    require_mixable(teachers, views, context)
    names = [teacher.name for teacher in teachers if teacher.by_id]
    if not names or views in (0, 1):
        return
    if context.task.spatial:
        raise UsageError(
            "predictions of maps or boxes are for the unchanged image, but the other views move it",
            where=f"teacher {names[0]!r}",
            hint="set views: 1",
        )
    context.progress.say(f"{', '.join(names)}: predictions by sample id; every view uses those for view 0")


def needed_arrays(context: Context, views: int | None, by_id: bool = False) -> list[tuple[Split, int]]:
    """Return the (split, view number) pairs of a teacher's outputs that a run reads."""
    data, number = context.data, views or 0
    if by_id:
        number = 0 if views == 0 else 1
    held_out = [(split, PLAIN) for split in (data.val, data.test) if len(split)]
    return [*held_out, *((data.train, view) for view in range(number))]


def _contribute(teacher: ResolvedTeacher, views: int | None, context: Context) -> None:
    """Fit and record one teacher as far as no other worker does; wait for none."""
    recipe, task, needed = context.recipe, context.task, needed_arrays(context, views, teacher.by_id)
    fetch_recorded(teacher, needed, context)
    missing = [
        (split, number)
        for split, number in needed
        if not recorded_outputs.is_complete(
            recording.key(teacher.key, split, number, recipe, task), len(split)
        )
    ]
    if not missing:
        return
    untouched = load_teacher(teacher.part, teacher.entry, context.data, task)
    try:
        model = fit_teacher(untouched, teacher, context, wait=False)
    except BlockingIOError:  # another worker fits it
        return
    probe = probe_teacher(model, teacher.entry, [context.data.example], context)
    jobs = _recording_jobs(probe.model, teacher, probe.shape, missing, context)
    worker_recording.contribute(jobs, f"record {teacher.name}", context.progress)


def _prepare(
    teacher: ResolvedTeacher, views: int | None, context: Context, record_all: RecordAll
) -> ReadyTeacher:
    """Load, fit and record one teacher, as far as the store lacks its results."""
    needed, is_live = needed_arrays(context, views, teacher.by_id), views is None and not teacher.by_id
    fetch_recorded(teacher, needed, context)
    arrays, facts_folder = process_group.first_then_others(
        lambda: (
            find_recorded(teacher, needed, context),
            content_store.find("teachers", facts_key(teacher, context)),
        )
    )
    facts = read_facts(facts_folder) if facts_folder else {}
    model: Model | None = None
    own_missing = [(split.name, number) for split, number in needed if (split.name, number) not in arrays]
    # the first process decides for all
    has_facts, missing = process_group.broadcast((facts_folder is not None, own_missing))
    if (has_facts and not facts_folder) or not set(own_missing) <= set(missing):
        raise content_store.unshared_store_error(content_store.root())
    if is_live or not has_facts or missing:
        untouched = load_teacher(teacher.part, teacher.entry, context.data, context.task)
        model = fit_teacher(untouched, teacher, context)
        probe = probe_teacher(model, teacher.entry, [context.data.example], context)
        model, shape = probe.model, probe.shape
        facts = read_facts(_keep_facts(probe, teacher, context))
        to_record = [(split, number) for split, number in needed if (split.name, number) in missing]
        if to_record:
            jobs = _recording_jobs(model, teacher, shape, to_record, context)
            recorded = record_all(jobs, f"record {teacher.name}", context.progress)
            arrays |= {(job.split.name, job.view): each for job, each in zip(jobs, recorded, strict=True)}
            send_recorded([job.key for job in jobs], context)
    return ReadyTeacher(
        teacher,
        context.task,
        align_teacher(teacher.entry, facts["classes"], facts["outputs"], context),
        facts,
        arrays,
        with_preprocessing(model).to(context.device).eval().requires_grad_(False)
        if is_live and model
        else None,
    )


def _probe_early(teacher: ResolvedTeacher, views: int | None, context: Context) -> tuple[Doubt, ...]:
    """Probe a new teacher on a few samples, before any teacher is fitted or recorded.

    Returns:
        The doubts about its outputs on validation, already shown as warnings.
    """
    facts_folder = content_store.find("teachers", facts_key(teacher, context))
    if facts_folder:
        facts = read_facts(facts_folder)
        context.progress.remark(facts["remarks"], about=teacher.name)
        align_teacher(teacher.entry, facts["classes"], facts["outputs"], context)
        return ()
    if not teacher.by_id:
        require_runtime(context)
    model = load_teacher(teacher.part, teacher.entry, context.data, context.task)
    splits = [split for split, _ in needed_arrays(context, views, teacher.by_id)]
    probe = probe_teacher(model, teacher.entry, splits, context)
    context.progress.remark(probe.remarks, about=teacher.name)
    alignment = align_teacher(teacher.entry, probe.model.classes, probe.shape[0], context)
    if teacher.entry.fit:
        return ()
    validation = validate_live(probe.model, teacher.name, alignment, context, thorough=False)
    _show_doubts(teacher.name, validation, context)
    return validation.doubts


def find_recorded(
    teacher: ResolvedTeacher, needed: list[tuple[Split, int]], context: Context
) -> dict[tuple[str, int], RecordedArray]:
    """Return the complete arrays, by split name and view number."""
    found = {}
    for split, number in needed:
        array = recorded_outputs.find(
            recording.key(teacher.key, split, number, context.recipe, context.task), len(split)
        )
        if array is not None:
            found[split.name, number] = array
    return found


def _recording_jobs(
    model: Model,
    teacher: ResolvedTeacher,
    shape: tuple[int, ...],
    missing: list[tuple[Split, int]],
    context: Context,
) -> list[RecordingJob]:
    """Return the jobs to record the missing arrays of a loaded teacher."""
    recipe, task = context.recipe, context.task
    outputs = output_function(model, teacher.name, [split for split, _ in missing], context, fast=True)
    layouts = [Layout.for_recipe(shape, recipe, task, split.name) for split, _ in missing]
    return [
        RecordingJob(
            teacher.name,
            outputs,
            layout,
            split,
            number,
            recording.key(teacher.key, split, number, recipe, task),
            recording.batch_size(model.input.size or 1, context.device),
            context.device,
            keep_gaps=recipe.store.on_nan == "drop",
            encode=encode_recorded(model, layout, split, f"teacher {teacher.name!r}"),
        )
        for (split, number), layout in zip(missing, layouts, strict=True)
    ]


def output_function(
    model: Model, name: str, splits: Sequence[Split], context: Context, fast: bool = False
) -> OutputFunction:
    """Return a function ``(split, rows, view) -> outputs`` for a teacher.

    Args:
        model: the teacher.
        name: teacher name, used in messages.
        splits: splits on which outputs will be needed.
        context: context of the run.
        fast: use the module for recording: folded BatchNorm, or ONNX Runtime.
    """
    recipe, device = context.recipe, context.device
    if model.predictions is not None:
        return inference.outputs_by_id(model, splits, f"teacher {name!r}", recipe.store.on_nan)
    if not fast:
        return inference.outputs_by_view(with_preprocessing(model).to(device).eval(), recipe, device)
    return inference.outputs_by_view(recording_module(model, name, context), recipe, device)


def facts_key(teacher: ResolvedTeacher, context: Context) -> dict[str, Any]:
    """Return the content key of a teacher's facts; their latencies depend on the device."""
    measured_on = {name: context.engine[name] for name in ("device", "threads")}
    return {"format": FACTS_FORMAT, "measured_on": measured_on, **teacher.key}


def _keep_facts(probe: ProbeResult, teacher: ResolvedTeacher, context: Context) -> Path:
    """Store cost, classes and remarks of a loaded teacher; return their folder."""
    model, outputs = probe.model, probe.shape[0]
    align_teacher(teacher.entry, model.classes, outputs, context)

    def write(folder: Path) -> None:
        facts = {
            "costs": asdict(measure_cost(model, sample_views(context.data.example)[:1], context.device)),
            "input_size": model.input.size,
            "outputs": outputs,
            "classes": list(model.classes) if model.classes else None,
            "remarks": list(probe.remarks),
        }
        atomic.write_json(folder / "facts.json", facts)

    return content_store.keep("teachers", facts_key(teacher, context), write)


def read_facts(folder: Path) -> dict[str, Any]:
    """Return the facts of a teacher's folder in the store: costs, classes, number of outputs and remarks."""
    with atomic.disk_errors(folder):
        facts: dict[str, Any] = json.loads((folder / "facts.json").read_text())
    return facts
