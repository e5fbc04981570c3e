"""Run a recipe, phase by phase: data, teachers, strategy, student, baselines, scores, report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from torch import Tensor

from mtkd_cli.data import dataset
from mtkd_cli.data.dataset import Dataset
from mtkd_cli.distributed import group
from mtkd_cli.distributed.devices import resolve_device
from mtkd_cli.distributed.threads import Threads, threads_of_option
from mtkd_cli.inference.student import describe_student, local_code
from mtkd_cli.interfaces import Task
from mtkd_cli.recipe.resolve import Resolved
from mtkd_cli.recipe.schema import Recipe
from mtkd_cli.report import results
from mtkd_cli.report.files import write_pages
from mtkd_cli.report.run_result import RunResult
from mtkd_cli.runs import automatic, manifest, preflight
from mtkd_cli.runs.baseline_choice import parse_choice
from mtkd_cli.runs.baselines import Baseline, list_baselines, train_baseline
from mtkd_cli.runs.folder import Run
from mtkd_cli.runs.gallery import gallery_of
from mtkd_cli.runs.phases import Phase, list_phases
from mtkd_cli.runs.picture import draw_picture
from mtkd_cli.runs.report_facts import Scores, make_report
from mtkd_cli.runs.scores import Outputs, make_output_functions, measure_scores
from mtkd_cli.runs.strategy_batches import fit_strategy, make_batches
from mtkd_cli.runs.students import TrainedStudent, train_student
from mtkd_cli.runs.teacher_weights import measure_weights
from mtkd_cli.runs.trackers import running_trackers
from mtkd_cli.runs.view_count import count_views
from mtkd_cli.store.data_cache import StoreCache
from mtkd_cli.teachers import calibration, memorized
from mtkd_cli.teachers.distillation_data import distillation_data
from mtkd_cli.teachers.outputs import ReadyTeacher
from mtkd_cli.teachers.prepare import prepare_teachers
from mtkd_cli.teachers.resolved_teacher import ResolvedTeacher, resolve_teachers
from mtkd_cli.training.context import Context
from mtkd_cli.training.process_changes import ProcessChanges
from mtkd_cli.training.progress import Progress
from mtkd_cli.training.strategy import Strategy


def prepare(
    parts: Resolved,
    device: str,
    progress: Progress,
    threads: Threads | None = None,
    only_teachers: bool = False,
    process_changes: ProcessChanges | None = None,
) -> Context:
    """Load the data and the task of a resolved recipe.

    Args:
        parts: the resolved recipe.
        device: ``auto``, ``cpu`` or ``cuda``.
        progress: shows the progress.
        threads: the CPU threads; by default chosen automatically.
        only_teachers: whether no student is trained, so that fewer labels are needed.
        process_changes: changes of the number of processes of the run.

    Raises:
        MtkdError: the data is invalid, or lacks labels that the recipe needs.
    """
    recipe: Recipe = parts.recipe
    data, task = load_data(parts, StoreCache(verify_all=parts.verify_all, say=progress.say))
    preflight.refuse_missing_labels(recipe, data, only_teachers)
    preflight.refuse_top_k(recipe, task)
    calibration.require_calibratable(recipe, task)
    preflight.refuse_wrong_labels(data, task)
    settled = automatic.resolve_auto(parts, data, task)
    return Context(
        settled,
        parts,
        data,
        task,
        resolve_device(device),
        progress,
        threads or threads_of_option(0),
        process_changes,
    )


def load_data(parts: Resolved, cache: StoreCache | None = None) -> tuple[Dataset, Task]:
    """Return the data and the task of a resolved recipe, without checking whether they fit the rest of it.

    Args:
        parts: the resolved recipe.
        cache: cache of the data source; default: a `StoreCache` that shows nothing.
    """
    recipe: Recipe = parts.recipe
    told = {"task": recipe.task.name} if parts.data.takes("task") else {}
    cache = cache or StoreCache()
    source = parts.data.create(**told).load(cache)
    data = dataset.load(source, recipe.data, cache)
    return data, parts.task.create(data=data.for_task, loss=recipe.loss.for_task)


def distill(context: Context, run: Run, baseline: bool | str) -> RunResult:
    """Run every phase, write the results to the run folder, and return the report.

    A run that was started before is resumed. If a new run fails before it has trained anything, its folder is
    removed; later, all its files stay.

    Args:
        context: the run.
        run: the run folder.
        baseline: baselines to train, see `parse_choice`.
    """
    choice = parse_choice(baseline)
    logged = context.progress.with_listeners(*run.listeners)
    with run, running_trackers(context.parts.trackers, logged.say) as trackers:
        context = replace(context, progress=logged.with_listeners(*trackers))
        events = context.progress.events
        resolved = resolve_teachers(context)
        now = manifest.describe_run(context, resolved, count_views(context.recipe), choice)
        views = run.begin(context.recipe, now)
        events.run_started(context.recipe.as_dict(), run.folder)
        if context.process_changes:
            context.progress.say(context.process_changes.sentence)
        baselines = list_baselines(choice, context)
        for note in context.data.notes:
            context.progress.say(note)
        _show_phases(context, list_phases(context, views, resolved, baselines))
        done = _run_phases(context, resolved, group.broadcast(views), baselines, run.checkpoints)
        report = _write_results(context, run, done)
        run.finish()
        events.run_finished(results.as_json(report))
        run.log_verdict(report)
    return report


def assist(context: Context, baseline: bool | str, checkpoints: Path) -> None:
    """Do this process's share of every phase; the first process writes the results.

    Args:
        context: the run.
        baseline: baselines to train, see `parse_choice`.
        checkpoints: folder of the distilled student's checkpoints.
    """
    baselines = list_baselines(parse_choice(baseline), context)
    _run_phases(context, resolve_teachers(context), group.broadcast(None), baselines, checkpoints)


def _show_phases(context: Context, phases: Sequence[Phase]) -> None:
    """Number the phases that have work to do, and list them in one line."""
    names = [phase.name for phase in phases if not phase.is_reused]
    reused = [phase.name for phase in phases if phase.is_reused]
    context.progress.expect(names)
    line = f"{len(names)} phases: {', '.join(names)}"
    context.progress.remark([f"{line}; reused: {', '.join(reused)}" if reused else line])


@dataclass(frozen=True)
class _Results:
    """Results of all phases. ``baselines`` are keyed by kind."""

    views: int | None
    teachers: list[ReadyTeacher]
    strategy: Strategy
    student: TrainedStudent
    baselines: Mapping[str, TrainedStudent]
    outputs: Mapping[str, Outputs]
    scores: Scores


def _run_phases(
    context: Context,
    resolved: Sequence[ResolvedTeacher],
    views: int | None,
    wanted: Sequence[Baseline],
    checkpoints: Path,
) -> _Results:
    """Run every phase that all processes share."""
    preflight.refuse_few_samples(context, baselines=bool(wanted))
    preflight.remark_missing_labels(context)
    automatic.show_choices(context)
    strategy = Strategy(context.parts.strategy)
    teachers = prepare_teachers(context, views, resolved)
    preflight.show_alignment(context, teachers)
    preflight.refuse_partial_label_spaces(context, strategy, teachers)
    fit_strategy(strategy, context, teachers)
    data = distillation_data(teachers, views, context)
    student = train_student(context, data, strategy, make_batches(context, data.split, teachers), checkpoints)
    baselines: dict[str, TrainedStudent] = {}
    for baseline in wanted:
        baselines[baseline.kind] = train_baseline(baseline, context)
    with context.progress.phase("evaluate", 1):
        outputs = make_output_functions(context, teachers, strategy, student, baselines)
        scores = measure_scores(context, teachers, student, baselines, outputs)
        context.progress.advance()
    return _Results(views, teachers, strategy, student, baselines, outputs, scores)


def _write_results(context: Context, run: Run, done: _Results) -> RunResult:
    """Write the student, the report and its pages, and return the report."""
    student = done.student
    with context.progress.phase("report", 1):
        about = make_batches(context, context.data.val, done.teachers)
        gallery, sheet = gallery_of(context, done.outputs, _statistics(done.scores))
        weights = measure_weights(context, done.teachers, done.strategy, about, student.model)
        report = make_report(
            context,
            run.folder.name,
            done.views,
            done.teachers,
            student,
            done.baselines,
            done.scores,
            weights,
            _collect_warnings(context, done.teachers),
            gallery,
            run.timing,
        )
    facts = describe_student(context, student.model, done.scores.student.metrics)
    run.write_student(student.model, facts, local_code(context))
    run.write_picture(draw_picture(context, done.outputs))
    run.write_picture(sheet, results.GALLERY)
    run.write_report(report)
    write_pages(run.folder, report)
    return report


def _statistics(scores: Scores) -> dict[str, Tensor]:
    """Return the statistics ``[N, S]`` of the labeled test samples, of the models in the gallery."""
    teachers = {f"teacher {name}": scored.statistics for name, scored in scores.teachers.items()}
    return {"student": scores.student.statistics, "ensemble": scores.ensemble.statistics, **teachers}


def _collect_warnings(context: Context, teachers: list[ReadyTeacher]) -> dict[str, list[str]]:
    """Return the warnings about each teacher's scores; show those that are new."""
    found = {}
    for teacher in teachers:
        late = (
            [] if teacher.entry.fit else memorized.memorization_warnings(teacher, teacher.entry.saw, context)
        )
        for warning in late:
            context.progress.say(f"warning: teacher {teacher.name}: {warning}")
        early = teacher.validation.doubts if teacher.validation else ()
        found[teacher.name] = [*map(str, early), *late]
    return found
