"""Finished runs as students of a comparison."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from mtkd_cli.compare.grid import Cell, is_seed
from mtkd_cli.compare.looks import method_key, settings_of
from mtkd_cli.compare.student import Student
from mtkd_cli.errors import UsageError
from mtkd_cli.inference.run_files import ROOT
from mtkd_cli.report.results import read_recipe, read_report


def find_run(reference: str) -> Path | None:
    """Return the folder of a run, given as a path or a name; None if there is none."""
    for folder in (Path(reference), ROOT / reference):
        if (folder / "recipe.yaml").is_file():
            return folder
    return None


def students_of(references: Sequence[str]) -> list[Student]:
    """Return the students of runs, named by the settings in which their recipes differ.

    Raises:
        UsageError: a run does not exist, is given twice, or has the same recipe as another one.
        DataError: a run is not finished, or its results were changed.
    """
    folders = [_run(reference) for reference in references]
    if len(set(map(Path.resolve, folders))) < len(folders):
        raise UsageError("a run is given twice", hint="give each run once")
    reports = [read_report(folder) for folder in folders]
    recipes = [read_recipe(folder) for folder in folders]
    settings = [settings_of(recipe) for recipe in recipes]
    keys = [key for key in _keys(settings) if len({each.get(key, "") for each in settings}) > 1]
    students = []
    for folder, recipe, each, report in zip(folders, recipes, settings, reports, strict=True):
        rest = tuple((k, each[k]) for k in keys if k in each and not is_seed(k) and k != "strategy.name")
        seeds = tuple((key, each[key]) for key in keys if is_seed(key) and key in each)
        method = (("strategy", each["strategy.name"]), *rest)
        students.append(Student(Cell(method, seeds, ()), folder.name, report, method_key(recipe)))
    if len({(s.cell.method, s.cell.seeds) for s in students}) < len(students):
        raise UsageError("two runs have the same recipe", hint="give one of them")
    return students


def _run(reference: str) -> Path:
    folder = find_run(reference)
    if folder is None:
        raise UsageError(f"no run {reference!r}", hint="give run folders: runs/NAME")
    return folder


def _keys(settings: Sequence[Mapping[str, str]]) -> list[str]:
    return list(dict.fromkeys(key for each in settings for key in each))
