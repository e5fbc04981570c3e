"""The phases of a run, known before it starts: what will be done, and what is reused from the store."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from mtkd_cli.runs.baselines import Baseline, is_trained
from mtkd_cli.runs.students import plan_steps
from mtkd_cli.store import content_store, recorded_outputs
from mtkd_cli.teachers import recording
from mtkd_cli.teachers.features import feature_keys
from mtkd_cli.teachers.fit_classes import fit_split_of
from mtkd_cli.teachers.prepare import needed_arrays
from mtkd_cli.teachers.resolved_teacher import ResolvedTeacher
from mtkd_cli.training.context import Context
from mtkd_cli.training.hyperparameter_search import candidates


@dataclass(frozen=True)
class Phase:
    """One phase of a run.

    Attributes:
        name: name in progress, plans and ``metrics.jsonl``.
        work: what it does, in words.
        is_reused: whether its result is in the store already.
    """

    name: str
    work: str
    is_reused: bool = False


def list_phases(
    context: Context,
    views: int | None,
    teachers: Iterable[ResolvedTeacher],
    baselines: Iterable[Baseline],
    seeds: int = 1,
) -> tuple[Phase, ...]:
    """Return the phases of a run, in order. Loads no model and reads no recorded outputs.

    Args:
        context: the run.
        views: number of recorded views of the training samples; None if the teachers answer live.
        teachers: the resolved teachers.
        baselines: baselines to train.
        seeds: number of seeds to train with.
    """
    phases = [phase for teacher in teachers for phase in _list_teacher_phases(teacher, views, context)]
    if context.recipe.loss.features and views is not None:
        phases += [_plan_features(teacher, views, context) for teacher in teachers]
    steps, _ = plan_steps(context)
    tried = len(candidates(context.recipe.train))
    phases.append(Phase("distill", _describe_training(steps, tried, seeds)))
    for baseline in baselines:
        work = _describe_training(steps, 1 if baseline.has_one_candidate else tried, seeds)
        phases.append(Phase(baseline.phase, work, seeds == 1 and is_trained(baseline, context)))
    phases.append(Phase("evaluate", f"{_count(len(context.data.test), 'test sample')}"))
    return tuple(phases)


def _list_teacher_phases(teacher: ResolvedTeacher, views: int | None, context: Context) -> Iterator[Phase]:
    """Yield the fit of a teacher, if it has one, and its recording."""
    pairs = needed_arrays(context, views, teacher.by_id)
    missing = sum(
        len(split)
        for split, number in pairs
        if not recorded_outputs.is_complete(
            recording.key(teacher.key, split, number, context.recipe, context.task), len(split)
        )
    )
    is_live = views is None and not teacher.by_id
    if (fit := teacher.entry.fit) and teacher.fit_key is not None:
        samples = len(fit_split_of(fit, context).rows)
        is_kept = content_store.find("fitted", teacher.fit_key) is not None
        work = f"{_count(fit.epochs, 'epoch')} on {_count(samples, 'sample')}"
        # Weights that were pruned are needed only if the teacher has to answer again.
        yield Phase(f"fit {teacher.name}", work, is_kept or not (missing or is_live))
    total = sum(len(split) for split, _ in pairs)
    work = f"{missing:,} of {total:,} outputs" if 0 < missing < total else _count(total, "output")
    yield Phase(f"record {teacher.name}", work, not missing)


def _plan_features(teacher: ResolvedTeacher, views: int, context: Context) -> Phase:
    samples = len(context.data.train)
    keys = feature_keys(teacher, views, context)
    is_reused = all(recorded_outputs.is_complete(key, samples) for key in keys)
    return Phase(f"record features of {teacher.name}", _count(samples * views, "output"), is_reused)


def _describe_training(steps: int, candidates: int, seeds: int) -> str:
    work = _count(steps, "step")
    if candidates > 1:
        work += f" for each of {candidates} candidates"
    return f"{work}, {seeds} seeds" if seeds > 1 else work


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"
