"""``mtkd distill --seeds N``: one run per seed, the median student, a verdict over seeds.

The runs share recordings and fitted teachers. Each has its own folder, ``NAME-seed-K``. A repeated or resumed
command reuses finished runs and resumes the others.
"""

from __future__ import annotations

import functools
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from mtkd_cli.compare.grid import Cell
from mtkd_cli.compare.job import Job, Setup
from mtkd_cli.compare.job_count import choose_jobs
from mtkd_cli.compare.parallel import Parallel
from mtkd_cli.compare.shared_work import prepare_shared
from mtkd_cli.compare.tune import validation_rank
from mtkd_cli.errors import UsageError
from mtkd_cli.inference.run_files import ROOT
from mtkd_cli.interfaces.significant_digits import format_number
from mtkd_cli.recipe.resolve import Resolved
from mtkd_cli.report.claim import claim
from mtkd_cli.report.files import write_pages
from mtkd_cli.report.metric_names import spelt
from mtkd_cli.report.results import RECIPE, read_report
from mtkd_cli.report.run_result import Margin, RunResult, Seeds
from mtkd_cli.runs import manifest, pipeline
from mtkd_cli.runs.baseline_choice import BaselineChoice
from mtkd_cli.runs.folder import Run
from mtkd_cli.runs.start import find_finished_report, load_context, resume_hint, settings_of_run
from mtkd_cli.runs.view_count import count_views
from mtkd_cli.safe_loading.stdout import stdout_on_stderr
from mtkd_cli.stats.paired_test import FEWEST_SEEDS, paired_t_test
from mtkd_cli.teachers.resolved_teacher import resolve_teachers
from mtkd_cli.training.context import Context


def run_seeds(
    parts: Resolved,
    name: str,
    seeds: int,
    resume: bool,
    device: str,
    threads: int,
    baseline: BaselineChoice | None,
    jobs: int = 1,
) -> RunResult:
    """Run a recipe with several seeds and return the report.

    The arguments are those of `run_recipe`, ``seeds``, and ``jobs``: how many seeds to train at a time, see
    `choose_jobs`.

    Raises:
        UsageError: the run was started with one seed.
    """
    with stdout_on_stderr(), resume_hint(name), Run(name, resume) as run:
        if run.begun is not None:
            require_several_seeds(run.begun, name)
        parts, device, used, baseline = settings_of_run(run.begun, parts, device, threads, baseline)
        report = find_finished_report(run, parts, baseline)
        if report is not None and report.seeds and len(report.seeds.seeds) == seeds:
            return report
        return distill_seeds(load_context(parts, device, used), run, seeds, baseline, jobs)


def require_several_seeds(begun: Mapping[str, Any], name: str) -> None:
    """Raise if a run began with one seed.

    Raises:
        UsageError: its manifest has no number of seeds.
    """
    if "seeds" not in begun:
        raise UsageError(f"the run {name} began with one seed", where="--seeds", hint="give another --name")


def distill_seeds(
    context: Context, run: Run, seeds: int, baseline: BaselineChoice, jobs: int = 1
) -> RunResult:
    """Train a student and its baselines with each seed; keep the median student and return the report.

    Args:
        context: the run.
        run: its folder.
        seeds: number of seeds.
        baseline: baselines to train with each seed.
        jobs: how many seeds to train at a time, see `choose_jobs`.
    """
    now = manifest.describe_run(context, resolve_teachers(context), count_views(context.recipe), baseline)
    run.begin(context.recipe, {**now, "seeds": seeds})
    first, name = context.recipe.train.seed, run.folder.name
    numbers = range(first, first + seeds)
    names = [f"{name}-seed-{seed}" for seed in numbers]
    at_a_time, why = choose_jobs(jobs, [context], seeds)
    if at_a_time > 1:
        context.progress.say(f"{seeds} seeds, {at_a_time} at a time: {why}")
        reports = _in_processes(context, run, dict(zip(numbers, names, strict=True)), baseline, at_a_time)
    else:
        reports = []
        for number, (seed, each) in enumerate(zip(numbers, names, strict=True), start=1):
            context.progress.say(f"seed {seed}, {number} of {seeds}: runs/{each}")
            reports.append(run_seed(with_seed(context, seed), each, baseline))
    median = median_of(reports)
    with Run(names[median], resume=True) as shipped:
        run.copy_student(shipped)
    report = report_over(reports, list(numbers), names, median)
    repeat = f"{reports[0].repeat.replace(names[0], name)} --seeds {seeds}"
    report = replace(report, run=name, repeat=repeat, timing=run.timing)
    run.write_report(report)
    write_pages(run.folder, report)
    run.finish()
    run.log_verdict(report)
    return report


def _in_processes(
    context: Context, run: Run, names: Mapping[int, str], baseline: BaselineChoice, at_a_time: int
) -> list[RunResult]:
    """Return the report of each seed, trained several at a time.

    Args:
        context: the run.
        run: its folder, with its recipe.
        names: name of the run of each seed.
        baseline: baselines to train with each seed.
        at_a_time: how many to train at a time.
    """
    student = context.parts.student
    setup = Setup(
        str(run.folder / RECIPE),
        run.folder.name,
        context.device.type,
        context.threads,
        student.trusted,
        student.trust_code,
    )
    with Parallel(at_a_time, context.progress) as parallel:
        prepare_shared(context)

        def train(seed: int) -> RunResult:
            context.progress.say(f"seed {seed}: runs/{names[seed]}")
            cell = Cell((), (), (f"train.seed={seed}",))
            parallel.run(Job(setup, cell, baseline, names[seed]), f"seed {seed}")
            return read_report(ROOT / names[seed])

        return parallel.all_of([functools.partial(train, seed) for seed in names])


def with_seed(context: Context, seed: int) -> Context:
    """Return the context with another seed of initial weights, order and dropout."""
    train = context.recipe.train.model_copy(update={"seed": seed})
    recipe = context.recipe.model_copy(update={"train": train})
    return replace(context, recipe=recipe, parts=replace(context.parts, recipe=recipe))


def run_seed(context: Context, name: str, baseline: BaselineChoice) -> RunResult:
    """Return the report of a run of one seed; train it unless it is finished."""
    with Run(name, resume=True) as run:
        return find_finished_report(run, context.parts, baseline) or pipeline.distill(context, run, baseline)


def median_of(reports: Sequence[RunResult]) -> int:
    """Return the index of the median student on validation; the worse one of two middle ones."""
    by_validation = sorted(range(len(reports)), key=lambda index: validation_rank(reports[index]))
    return by_validation[(len(reports) - 1) // 2]


def report_over(
    reports: Sequence[RunResult], seeds: Sequence[int], runs: Sequence[str], median: int
) -> RunResult:
    """Return the report of the median run, with the scores of every seed and a verdict over seeds.

    Args:
        reports: report of each seed.
        seeds: the seeds.
        runs: name of the run of each seed.
        median: index of the run whose student is kept.
    """
    metric, count = reports[0].metric, len(reports)
    student = [report.scores.student[metric.name] for report in reports]
    baselines = {
        kind: [report.scores.baselines[kind][metric.name] for report in reports]
        for kind in reports[0].scores.baselines
    }
    smallest = statistics.fmean(map(abs, student)) / max(1, reports[0].data.test)
    verdict = claim(
        metric,
        statistics.fmean(student),
        {kind: _margin(student, scores, smallest) for kind, scores in baselines.items()},
        over=f"{count} seeds",
        subject=f"Over {count} seeds, the student",
        no_interval=f"{count} seeds give no interval",
    )
    spread = f"{format_number(min(student))} to {format_number(max(student))}"
    shipped = (
        f"Scores are means over seeds; the student's are {spread}. The student kept here is that of seed "
        f"{seeds[median]}, the median on validation: {spelt(metric.name)} {format_number(student[median])}."
    )
    return replace(
        reports[median],
        verdict=replace(verdict, sentence=f"{verdict.sentence} {shipped}"),
        seeds=Seeds(
            seeds=tuple(seeds),
            runs=tuple(runs),
            shipped=seeds[median],
            student=tuple(student),
            baselines={kind: tuple(scores) for kind, scores in baselines.items()},
        ),
    )


def _margin(student: Sequence[float], baseline: Sequence[float], smallest: float) -> Margin:
    """Return the mean difference, with Student's interval over seeds."""
    found = paired_t_test([first - second for first, second in zip(student, baseline, strict=True)], smallest)
    interval = (found.low, found.high) if found.seeds >= FEWEST_SEEDS else None
    return Margin(statistics.fmean(baseline), found.gain, interval)
