"""Search for a student within a budget: measure, train by successive halving, run the pick."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
from rich.console import Console

from mtkd_cli.distributed.threads import threads_of_option
from mtkd_cli.errors import UsageError
from mtkd_cli.files import atomic, checksummed_json
from mtkd_cli.interfaces.significant_digits import format_number
from mtkd_cli.recipe.resolve import Resolved
from mtkd_cli.report.metric_names import spelt
from mtkd_cli.report.run_result import PrimaryMetric, RunResult
from mtkd_cli.report.search_result import Candidate, Pick, RungRow, Search
from mtkd_cli.report.units import bytes_in_words, milliseconds
from mtkd_cli.runs import names, pipeline
from mtkd_cli.runs.baseline_choice import BaselineChoice
from mtkd_cli.runs.start import run_recipe
from mtkd_cli.runs.students import plan_steps
from mtkd_cli.search.candidates import Budget, measure_all, with_student
from mtkd_cli.search.pareto import with_front
from mtkd_cli.search.rungs import prepare_taught
from mtkd_cli.search.successive_halving import Halved, halve
from mtkd_cli.store import content_store
from mtkd_cli.training.context import Context
from mtkd_cli.training.hyperparameter_search import candidates
from mtkd_cli.training.progress import Progress

ROOT = Path("searches")
MEASURED = "measured.json"

PartsOf = Callable[[Sequence[str]], Resolved]
"""Function from overrides to the resolved recipe."""


def run_search(
    parts_of: PartsOf,
    students: Sequence[str],
    budget: Budget,
    name: str = "",
    device: str = "auto",
    threads: int = 0,
    baseline: BaselineChoice = BaselineChoice.NONE,
) -> tuple[Search, Path]:
    """Search for the best student within a budget, train it, and return the facts and their folder.

    A repeated or resumed search reuses measurements, recordings and finished rungs.

    Args:
        parts_of: function from overrides to the resolved recipe.
        students: the models.
        budget: the largest costs.
        name: name of the search and of the pick's run; empty: derived from the recipe and the arguments.
        device: ``auto``, ``cpu`` or ``cuda``.
        threads: CPU threads; 0: chosen automatically.
        baseline: baselines to train beside the pick.

    Raises:
        UsageError: no student is within the budget, or the name belongs to another search.
    """
    used = threads_of_option(threads)
    torch.set_num_threads(used.limit)
    parts = {student: parts_of([f"student={student}"]) for student in students}  # check all before the first
    first = parts[students[0]]
    context = pipeline.prepare(first, device, Progress(Console(stderr=True)), used)
    key = content_store.digest(
        {
            "recipe": parts_of([]).recipe.as_dict(),
            "students": list(students),
            "budget": [None if math.isinf(most) else most for most in asdict(budget).values()],
        }
    )
    name = name or f"{names.valid_part(first.name)}-search-{key[:10]}"
    folder = names.folder_of(ROOT, name)
    measured = _measured_before(folder, key)
    if measured is None:
        measured = measure_all(students, context, parts.__getitem__, budget)
        with atomic.disk_errors(folder):
            folder.mkdir(parents=True, exist_ok=True)
            checksummed_json.write(
                folder / MEASURED, {"key": key, "candidates": [asdict(each) for each in measured]}
            )
    within = [each.student for each in measured if not each.rejected]
    _say_rejected(context, measured)
    if not within:
        raise nothing_within(measured)
    taught = prepare_taught(context) if len(within) > 1 else None
    halved = halve(within, lambda student: with_student(context, parts[student]), taught)
    pick = halved.students[0].student
    context.progress.say(f"pick: {pick}; its run: runs/{name}")
    report = run_recipe(parts[pick], name, True, device, threads, baseline)
    if report is None:
        raise RuntimeError("a search runs in one process")
    facts = _facts(context, measured, halved, budget, name, pick, report)
    return replace(facts, recipe=parts_of([]).recipe.as_dict()), folder


def _measured_before(folder: Path, key: str) -> list[Candidate] | None:
    """Return the measurements of a search that was started before; None if there are none.

    Raises:
        UsageError: the search has other arguments.
    """
    if not (folder / MEASURED).is_file():
        return None
    found = checksummed_json.read(folder / MEASURED, hint="remove the folder, or give another --name")
    if found["key"] != key:
        raise UsageError(
            f"{folder} is a search with another recipe, other students or another budget",
            where="--name",
            hint="give another name",
        )
    return [Candidate(**each) for each in found["candidates"]]


def _say_rejected(context: Context, measured: Sequence[Candidate]) -> None:
    for each in measured:
        if each.rejected:
            context.progress.say(f"rejected before training: {each.student}: {each.rejected}")


def nothing_within(measured: Sequence[Candidate]) -> UsageError:
    """Return the error of a search whose students all exceed the budget."""
    known = [each for each in measured if each.latency_ms is not None]
    if not known:
        return UsageError(f"no student can be built: {measured[0].rejected}", where="--students")
    fastest = min(known, key=lambda each: each.latency_ms or 0)
    smallest = min(known, key=lambda each: each.bytes or 0)
    return UsageError(
        f"none of {len(measured)} students is within the budget",
        where="--latency, --size",
        hint=f"the fastest is {fastest.student} ({milliseconds(fastest.latency_ms)}), "
        f"the smallest {smallest.student} ({bytes_in_words(smallest.bytes)})",
    )


def _facts(
    context: Context,
    measured: Sequence[Candidate],
    halved: Halved,
    budget: Budget,
    name: str,
    pick: str,
    report: RunResult,
) -> Search:
    costs = {each.student: each for each in measured}
    trained = [
        replace(
            costs[each.student],
            failed=each.result.failed,
            rungs=each.rungs,
            steps=halved.rungs[each.rungs - 1].until if each.rungs else 0,
            settings={"lr": each.settings.lr[0], "weight_decay": each.settings.weight_decay[0]}
            if each.rungs
            else {},
            score=each.result.score,
            interval=each.result.interval,
            loss=each.result.loss,
        )
        for each in halved.students
    ]
    metric = PrimaryMetric(context.task.primary.name, context.task.primary.higher_is_better)
    interval = report.intervals.student if report.intervals else None
    chosen = Pick(pick, name, report.scores.student[metric.name], interval, report.data.test)
    run_steps, tried = plan_steps(context)[0], len(candidates(context.recipe.train))
    steps = halved.steps + run_steps * len(report.student.trials)
    full_steps = run_steps * tried * len(trained)
    return Search(
        task=context.recipe.task.name,
        metric=metric,
        val_samples=len(context.data.val.labeled),
        latency_ms=None if math.isinf(budget.latency_ms) else budget.latency_ms,
        bytes=None if math.isinf(budget.bytes) else budget.bytes,
        device=context.device.type,
        threads=context.threads.limit,
        candidates=(*with_front(trained, metric), *(each for each in measured if each.rejected)),
        rungs=tuple(RungRow(rung.students, rung.until) for rung in halved.rungs),
        pick=chosen,
        steps=steps,
        full_steps=full_steps,
        lead=_lead(chosen, costs[pick], metric, len(trained), len(measured), steps / full_steps),
    )


def _lead(
    pick: Pick, costs: Candidate, metric: PrimaryMetric, within: int, students: int, share: float
) -> str:
    low_high = ""
    if pick.interval:
        ends = " to ".join(format_number(end, pick.score) for end in pick.interval)
        low_high = f", 95 % interval {ends}"
    return (
        f"Pick: {pick.student}, {milliseconds(costs.latency_ms)} in {costs.engine} and "
        f"{bytes_in_words(costs.bytes)}; {spelt(metric.name)} {format_number(pick.score)} on "
        f"{pick.test_samples:,} test samples{low_high}. {within} of {students} students were within the "
        f"budget; the search took {100 * share:.0f} % of the steps of training all of these."
    )


def settings_in_words(settings: Mapping[str, Any]) -> str:
    """Return settings in words: ``lr 0.01, weight_decay 0.1``."""
    return ", ".join(f"{name} {value:g}" for name, value in settings.items())
