"""Run ``mtkd search`` and print its result."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from rich.console import Console
from rich.table import Table

from mtkd_cli.cli import console
from mtkd_cli.cli.tables import table
from mtkd_cli.recipe.load import load
from mtkd_cli.recipe.resolve import Resolved
from mtkd_cli.recipe.trusted_files import check_trusted_files, warnings, with_trusted_files
from mtkd_cli.report import results
from mtkd_cli.report.files import write_pages
from mtkd_cli.report.fitting_columns import fitting_columns
from mtkd_cli.report.metric_names import spelt
from mtkd_cli.report.search_page import STUDENT_COLUMNS, budget_in_words, student_cells
from mtkd_cli.report.search_result import Search
from mtkd_cli.runs.baseline_choice import BaselineChoice
from mtkd_cli.safe_loading.stdout import stdout_on_stderr
from mtkd_cli.search.budget import parse_latency, parse_size
from mtkd_cli.search.candidates import Budget, parse_students
from mtkd_cli.search.search import run_search


def search(
    recipe: str,
    overrides: Sequence[str],
    students: str,
    limits: tuple[str, str],
    name: str,
    device: str,
    threads: int,
    baseline: BaselineChoice,
    trust_pickle: Sequence[str],
    trust_code: bool,
    verify_all: bool,
    as_json: bool,
) -> None:
    """Search for a student, write the facts and print them. ``limits``: latency and size, with units."""
    models = parse_students(students)
    budget = Budget(parse_latency(limits[0]), parse_size(limits[1]))
    with stdout_on_stderr():
        warn = console.warner()
        trusted = check_trusted_files(trust_pickle, [load(recipe, overrides, warn=warn)])
        console.warn(warnings(trusted))

        def parts_of(changes: Sequence[str]) -> Resolved:
            parts = with_trusted_files(load(recipe, [*overrides, *changes]), trusted, trust_code)
            return replace(parts, verify_all=verify_all)

        found, folder = run_search(parts_of, models, budget, name, device, threads, baseline)
    results.write_alone(folder, found)
    write_pages(folder, found)
    if as_json:
        console.print_json(results.as_json(found))
        return
    for part in tables(found):
        console.print_result(part)
        console.print_result("")
    console.print_result(console.cell(found.lead))
    console.print_result(f"\nEverything is in {folder}/ and runs/{found.pick.run}/")


def tables(found: Search, width: int | None = None) -> list[Table]:
    """Return the students within the budget, and the rejected ones, as tables for the terminal."""
    rows = [student_cells(each) for each in found.candidates if not each.rejected]
    columns = {name: [row[index] for row in rows] for index, name in enumerate(STUDENT_COLUMNS)}
    kept = fitting_columns(columns, width or Console().width)
    title = (
        f"{spelt(found.metric.name)} on {found.val_samples:,} validation samples; {budget_in_words(found)}"
    )
    built = [table(list(zip(*(columns[name] for name in kept), strict=True)), kept, title, whole=kept)]
    rejected = [[each.student, each.rejected] for each in found.candidates if each.rejected]
    if rejected:
        built.append(table(rejected, ["student", "reason"], "Rejected before training"))
    failed = [[each.student, each.failed] for each in found.candidates if each.failed]
    if failed:
        built.append(table(failed, ["student", "failure"], "Failed"))
    return built
