"""The part of ``mtkd compare`` that needs torch."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table

from mtkd_cli.cli import console
from mtkd_cli.cli.tables import table
from mtkd_cli.compare.comparison import Student, comparison_of
from mtkd_cli.compare.from_runs import students_of
from mtkd_cli.compare.grid import Cell, grid_of
from mtkd_cli.compare.runner import Trainer
from mtkd_cli.compare.tune import Range, ranges_of, require_optuna, tune, validated_as, with_settings
from mtkd_cli.interfaces.significant_digits import shown
from mtkd_cli.recipe.load import load
from mtkd_cli.recipe.trusted_files import checked, trusting, warnings
from mtkd_cli.report import results
from mtkd_cli.report.comparison_result import Against, Comparison, Tuned
from mtkd_cli.report.files import write_pages
from mtkd_cli.report.metric_names import spelt
from mtkd_cli.runs import names
from mtkd_cli.runs.baseline_choice import BaselineChoice
from mtkd_cli.safe_loading.stdout import stdout_on_stderr
from mtkd_cli.store import content_store
from mtkd_cli.training.progress import Progress

ROOT = Path("comparisons")
NOT_TRAINED = (-math.inf, -math.inf)


def compare_runs(runs: Sequence[str], name: str, as_json: bool) -> None:
    """Compare runs that are finished."""
    _keep(
        comparison_of(students_of(runs)),
        name or f"runs-{content_store.digest({'runs': sorted(runs)})[:10]}",
        as_json,
    )


def compare_grid(
    recipe: str,
    overrides: Sequence[str],
    name: str,
    tuning: tuple[str, int, int],
    baseline: BaselineChoice,
    device: str,
    threads: int,
    trust_pickle: Sequence[str],
    trust_code: bool,
    as_json: bool,
) -> None:
    """Train a grid of students, or find them trained, and compare them."""
    grid, (keys, trials, seed) = grid_of(overrides), tuning
    names.folder_of(ROOT, name or "default")
    ranges = ranges_of(keys)
    if ranges:
        require_optuna()
    if threads:
        torch.set_num_threads(threads)
    with stdout_on_stderr():
        warn = console.warner()
        first = load(recipe, grid.fixed, warn=warn)
        methods = grid.methods(first.recipe.strategy.name, len(first.recipe.teachers))
        cells = grid.cells(methods)
        # everything that is wrong, before anything is trained
        trusted = checked(trust_pickle, [load(recipe, cell.overrides, warn=warn) for cell in cells])
        console.warn(warnings(trusted))
        progress = Progress(Console(stderr=True))
        trainer = Trainer(
            names.valid_part(first.name),
            lambda changes: trusting(load(recipe, changes), trusted, trust_code),
            device,
            progress,
            baseline,
        )
        tuned = _tuned(trainer, cells[: len(methods)], ranges, trials, seed) if ranges else {}
        chosen = [with_settings(cell, tuned[cell.method].settings) if tuned else cell for cell in cells]
        done = trainer.all_of(chosen)
    students = [Student(each.cell, each.run, each.report) for each in done if each.report is not None]
    failures = {" ".join(each.cell.overrides): each.failure for each in done if each.report is None}
    found = comparison_of(students, failures, list(tuned.values()))
    key = {"recipe": recipe, "overrides": sorted(overrides), "tune": [sorted(ranges), trials, seed]}
    default = f"{names.valid_part(first.name)}-{content_store.digest(key)[:10]}"
    _keep(replace(found, recipe=first.recipe.as_dict(), grid=tuple(overrides)), name or default, as_json)


def _tuned(
    trainer: Trainer, cells: Sequence[Cell], ranges: Mapping[str, Range], trials: int, seed: int
) -> dict[tuple[tuple[str, str], ...], Tuned]:
    """Return what each method is tuned to, with the first seeds of the grid."""
    found = {}
    for number, cell in enumerate(cells):
        said = f"tune {' '.join(cell.overrides)}: method {number + 1} of {len(cells)}, {trials} trials"
        trainer.progress.say(said)
        found[cell.method] = tune(cell, ranges, trials, seed, lambda tried: _validation_rank(trainer, tried))
    return found


def _validation_rank(trainer: Trainer, cell: Cell) -> tuple[float, ...]:
    """Train a cell without baselines and return its rank on validation."""
    report = trainer.train(cell, BaselineChoice.NONE)[0].report
    return validated_as(report) if report else NOT_TRAINED


def _keep(comparison: Comparison, name: str, as_json: bool) -> None:
    place = names.folder_of(ROOT, name)
    results.write_alone(place, comparison)
    write_pages(place, comparison)
    if as_json:
        console.print_json(results.as_json(comparison))
        return
    console.print_result(comparison_table(comparison))
    console.print_result("")
    for sentence in comparison.sentences:
        console.print_result(console.cell(f"- {sentence}"))
    for cell, failure in comparison.failures.items():
        console.warn([f"{cell} failed: {failure}"])
    console.print_result(f"\nEverything is in {place}/")


def comparison_table(comparison: Comparison) -> Table:
    """Return the rows of a comparison for the terminal."""
    opponents = [opponent.name for opponent in comparison.opponents]
    metric = spelt(comparison.metric.name)
    rows = []
    for row in comparison.rows:
        interval = " to ".join(shown(end, row.mean) for end in row.interval) if row.interval else "-"
        verdicts = [_verdict(row.against.get(who), row.mean) for who in opponents]
        rows.append([row.name, len(row.scores), shown(row.mean), interval, *verdicts])
    titles = [f"against the {who}" for who in opponents]
    title = f"{metric} on {comparison.test_samples} test samples"
    return table(rows, ["student", "seeds", "mean", "95 % interval", *titles], title)


def _verdict(test: Against | None, mean: float) -> str:
    return "" if test is None else f"{shown(test.gain, mean, '+')} {test.word}"
