"""The part of ``mtkd compare`` that needs torch."""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table

from mtkd_cli.cli import console
from mtkd_cli.cli.tables import table
from mtkd_cli.compare.comparison import comparison_of
from mtkd_cli.compare.from_runs import students_of
from mtkd_cli.compare.grid import Cell, grid_of
from mtkd_cli.compare.job import Setup
from mtkd_cli.compare.looks import Seeds, method_key, seen_before
from mtkd_cli.compare.runner import Trainer
from mtkd_cli.compare.several import several_at_a_time
from mtkd_cli.compare.student import Student
from mtkd_cli.compare.tune import Range, ranges_of, require_optuna, tune, validation_rank, with_settings
from mtkd_cli.distributed.threads import threads_of_option
from mtkd_cli.inference.run_files import ROOT as RUNS
from mtkd_cli.interfaces.significant_digits import format_number
from mtkd_cli.recipe.load import load
from mtkd_cli.recipe.resolve import Resolved
from mtkd_cli.recipe.schema import Data
from mtkd_cli.recipe.trusted_files import check_trusted_files, warnings, with_trusted_files
from mtkd_cli.report import results
from mtkd_cli.report.comparison_columns import earlier_look, standing
from mtkd_cli.report.comparison_lead import best_set_sentence
from mtkd_cli.report.comparison_result import Comparison, Tuned
from mtkd_cli.report.costs import Costs
from mtkd_cli.report.files import write_pages
from mtkd_cli.report.fitting_columns import fitting_columns
from mtkd_cli.report.metric_names import spelt
from mtkd_cli.report.units import bytes_in_words, milliseconds
from mtkd_cli.runs import names
from mtkd_cli.runs.baseline_choice import BaselineChoice
from mtkd_cli.safe_loading.stdout import stdout_on_stderr
from mtkd_cli.store import content_store
from mtkd_cli.training.progress import Progress

ROOT = Path("comparisons")
NOT_TRAINED = (-math.inf, -math.inf)


def compare_runs(runs: Sequence[str], name: str, as_json: bool) -> None:
    """Compare finished runs."""
    students = students_of(runs)
    found = comparison_of(students, seen=_validation_reports(students))
    _save(found, name or f"runs-{content_store.digest({'runs': sorted(runs)})[:10]}", as_json)


def compare_grid(
    recipe: str,
    overrides: Sequence[str],
    name: str,
    tuning: tuple[str, int, int],
    baseline: BaselineChoice,
    best_teacher: bool,
    device: str,
    threads: int,
    trust_pickle: Sequence[str],
    trust_code: bool,
    as_json: bool,
    jobs: int = 1,
    verify_all: bool = False,
) -> None:
    """Train a grid of students, ``jobs`` at a time, and compare them. Finished runs are reused."""
    grid, (keys, trials, seed) = grid_of(overrides), tuning
    names.folder_of(ROOT, name or "default")
    ranges = ranges_of(keys)
    if ranges:
        require_optuna()
    used = threads_of_option(threads)
    torch.set_num_threads(used.limit)
    with stdout_on_stderr():
        warn = console.warner()
        first = load(recipe, grid.fixed, warn=warn)
        methods = grid.methods(first.recipe.strategy.name, len(first.recipe.teachers), best_teacher)
        cells = grid.cells(methods)
        # check every recipe before the first training
        trusted = check_trusted_files(
            trust_pickle, [load(recipe, cell.overrides, warn=warn) for cell in cells]
        )
        console.warn(warnings(trusted))
        progress = Progress(Console(stderr=True))
        verified: list[Data] = []

        def parts_of(changes: Sequence[str]) -> Resolved:
            parts = with_trusted_files(load(recipe, changes), trusted, trust_code)
            is_first = parts.recipe.data not in verified  # read all files once, not for every student
            verified.append(parts.recipe.data)
            return replace(parts, verify_all=verify_all and is_first)

        setup = Setup(recipe, names.valid_part(first.name), device, used, trusted, trust_code)
        trainer = Trainer(setup, parts_of, progress, baseline)
        with several_at_a_time(trainer, cells, jobs, len(methods) if ranges else 0) as trainer:
            tuned = _tune_methods(trainer, cells[: len(methods)], ranges, trials, seed) if ranges else {}
            chosen = [with_settings(cell, tuned[cell.method].settings) if tuned else cell for cell in cells]
            trained = trainer.train_all(chosen)
    students = [
        Student(each.cell, each.run, each.report, method_key(results.read_recipe(RUNS / each.run)))
        for each in trained
        if each.report is not None
    ]
    failures = {" ".join(each.cell.overrides): each.failure for each in trained if each.report is None}
    found = comparison_of(students, failures, list(tuned.values()), _validation_reports(students))
    key = {"recipe": recipe, "overrides": sorted(overrides), "tune": [sorted(ranges), trials, seed]}
    default = f"{names.valid_part(first.name)}-{content_store.digest(key)[:10]}"
    _save(replace(found, recipe=first.recipe.as_dict(), grid=tuple(overrides)), name or default, as_json)


def _validation_reports(students: Sequence[Student]) -> Seeds:
    """Return the seeds with which these methods were compared before."""
    seeds = frozenset(tuple(sorted(student.cell.seeds)) for student in students)
    return seen_before(ROOT, {student.key for student in students}, seeds)


def _tune_methods(
    trainer: Trainer, cells: Sequence[Cell], ranges: Mapping[str, Range], trials: int, seed: int
) -> dict[tuple[tuple[str, str], ...], Tuned]:
    """Return the tuned settings of each method, found with the first seeds of the grid."""

    def tune_one(number: int, cell: Cell) -> Tuned:
        settings = " ".join(cell.overrides)
        trainer.progress.say(f"tune {settings}: method {number} of {len(cells)}, {trials} trials")

        def validated(tried: Cell) -> tuple[float, ...]:
            report = trainer.train(tried, BaselineChoice.NONE, f"tune {number}")[0].report
            return validation_rank(report) if report else NOT_TRAINED

        return tune(cell, ranges, trials, seed, validated)

    work = [functools.partial(tune_one, number, cell) for number, cell in enumerate(cells, start=1)]
    found = trainer.parallel.all_of(work) if trainer.parallel else [each() for each in work]
    return {cell.method: tuned for cell, tuned in zip(cells, found, strict=True)}


def _save(comparison: Comparison, name: str, as_json: bool) -> None:
    """Write the files of a comparison and print it."""
    folder = names.folder_of(ROOT, name)
    results.write_alone(folder, comparison)
    write_pages(folder, comparison)
    if as_json:
        console.print_json(results.as_json(comparison))
        return
    console.print_result(comparison_table(comparison))
    console.print_result("")
    best_set = best_set_sentence(comparison.rows, comparison.best_set)
    for sentence in filter(None, [best_set, earlier_look(comparison)]):
        console.print_result(console.cell(sentence))
    for sentence in comparison.sentences:
        console.print_result(console.cell(f"- {sentence}"))
    for cell, failure in comparison.failures.items():
        console.warn([f"{cell} failed: {failure}"])
    console.print_result(f"\nEverything is in {folder}/")


def comparison_table(comparison: Comparison, width: int | None = None) -> Table:
    """Return the rows of a comparison as a table for the terminal.

    Args:
        comparison: the facts.
        width: width of the terminal, in characters; default: the actual width. The page of the comparison
            has the columns that do not fit.
    """
    rows = comparison.rows
    costs = [row.costs or Costs() for row in rows]
    # the first columns are the most important ones
    columns = {
        "student": [row.name for row in rows],
        "mean": [format_number(row.mean) for row in rows],
        "best?": [standing(comparison, index) for index in range(len(rows))],
        "size": [bytes_in_words(each.bytes) for each in costs],
        "latency": [milliseconds(each.latency_ms) for each in costs],
        "95 % interval": [
            " to ".join(format_number(end, row.mean) for end in row.interval) if row.interval else "-"
            for row in rows
        ],
        "seeds": [str(len(row.scores)) for row in rows],
    }
    kept = fitting_columns(columns, width or Console().width)
    title = f"{spelt(comparison.metric.name)} on {comparison.test_samples} test samples, {comparison.seeds} "
    title += "seed" if comparison.seeds == 1 else "seeds"
    return table(list(zip(*(columns[name] for name in kept), strict=True)), kept, title, whole=kept)
