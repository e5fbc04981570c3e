"""Runs that are finished already, as students of a comparison."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from mtkd_cli.compare.comparison import Student
from mtkd_cli.compare.grid import Cell, is_seed
from mtkd_cli.errors import UsageError
from mtkd_cli.inference.run_files import ROOT
from mtkd_cli.report.results import read_recipe, read_report

APART = ("trackers", "store")
"""Sections of a recipe that make no other student."""


def place_of(reference: str) -> Path | None:
    """Return the folder of a run, given as a path or as its name; None if there is none."""
    for place in (Path(reference), ROOT / reference):
        if (place / "recipe.yaml").is_file():
            return place
    return None


def students_of(references: Sequence[str]) -> list[Student]:
    """Return the students of runs; where their recipes differ is what they are called by.

    Raises:
        UsageError: no such run, or one is given twice.
        DataError: a run that is not finished, or whose results were changed.
    """
    places = [_place(reference) for reference in references]
    if len(set(map(Path.resolve, places))) < len(places):
        raise UsageError("a run is given twice", hint="give each once")
    reports = [read_report(place) for place in places]
    recipes = [_recipe(place) for place in places]
    keys = [key for key in _keys(recipes) if len({recipe.get(key, "") for recipe in recipes}) > 1]
    students = []
    for place, recipe, report in zip(places, recipes, reports, strict=True):
        rest = tuple((k, recipe[k]) for k in keys if k in recipe and not is_seed(k) and k != "strategy.name")
        seeds = tuple((key, recipe[key]) for key in keys if is_seed(key) and key in recipe)
        method = (("strategy", recipe["strategy.name"]), *rest)
        students.append(Student(Cell(method, seeds, ()), place.name, report))
    if len({(s.cell.method, s.cell.seeds) for s in students}) < len(students):
        raise UsageError("two runs have the same recipe", hint="give one of them")
    return students


def _place(reference: str) -> Path:
    place = place_of(reference)
    if place is None:
        raise UsageError(f"no run {reference!r}", hint="give run folders: runs/NAME")
    return place


def _recipe(place: Path) -> dict[str, str]:
    recipe = read_recipe(place)
    return dict(_flat({key: value for key, value in recipe.items() if key not in APART}))


def _flat(value: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, str]]:
    for key, part in value.items():
        if isinstance(part, dict):
            yield from _flat(part, f"{path}{key}.")
        else:
            yield f"{path}{key}", str(part)


def _keys(recipes: Sequence[Mapping[str, str]]) -> list[str]:
    return list(dict.fromkeys(key for recipe in recipes for key in recipe))
