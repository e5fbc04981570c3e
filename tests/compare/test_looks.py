"""Earlier comparisons of the same methods."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from mtkd_cli.compare.comparison import comparison_of
from mtkd_cli.compare.grid import Cell
from mtkd_cli.compare.looks import Seed, method_key, seen_before
from mtkd_cli.compare.student import Student
from mtkd_cli.report import results
from tests.fixtures.run_results import run_result


def seeds(*numbers: int) -> frozenset[Seed]:
    return frozenset((("train.seed", str(number)),) for number in numbers)


def save(name: str, methods: str, *numbers: int) -> None:
    """Compare the methods, one letter each, with some seeds, as the command does."""
    students = [
        Student(Cell((("strategy", m),), (("train.seed", str(n)),), ()), f"{m}-{n}", run_result(0.9, 0.8), m)
        for m in methods
        for n in numbers
    ]
    comparison = comparison_of(students, seen=seen_before(Path("all"), methods, seeds(*numbers)))
    results.write_alone(Path("all") / name, comparison)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def seen(methods: str, *numbers: int) -> frozenset[Seed]:
    return seen_before(Path("all"), methods, seeds(*numbers))


def test_added_seeds_are_a_second_look() -> None:
    assert seen("ab", 0, 1, 2) == frozenset()
    save("first", "ab", 0, 1, 2)
    assert seen("ab", 0, 1, 2, 3, 4) == seeds(0, 1, 2)
    assert seen("ab", 5, 6, 7) == seeds(0, 1, 2), "other seeds are a second look, too"


def test_repeated_comparison_keeps_its_answer() -> None:
    save("first", "ab", 0, 1, 2)
    save("second", "ab", 0, 1, 2, 3)
    assert seen("ab", 0, 1, 2) == frozenset()
    assert seen("ab", 0, 1, 2, 3) == seeds(0, 1, 2)


def test_leaving_methods_out_is_a_second_look_only_with_added_seeds() -> None:
    save("first", "abc", 0, 1, 2)
    assert seen("ab", 0, 1, 2) == frozenset()
    assert seen("ab", 0, 1, 2, 3) == seeds(0, 1, 2)


def test_comparison_with_another_method_is_a_first_look() -> None:
    save("first", "ab", 0, 1, 2)
    assert seen("abc", 0, 1, 2, 3) == frozenset()


def test_damaged_comparisons_are_skipped() -> None:
    save("first", "ab", 0, 1, 2)
    (Path("all") / "second").mkdir()
    (Path("all") / "second" / results.COMPARISON).write_text("{")
    assert seen("ab", 0, 1, 2, 3) == seeds(0, 1, 2)


def test_key_ignores_seeds_and_sections_that_do_not_change_the_student() -> None:
    recipe = {"train": {"lr": 0.1, "seed": 0}, "strategy": {"name": "mean"}, "trackers": []}
    other = {**recipe, "train": {"lr": 0.1, "seed": 1}, "trackers": ["csv"]}
    assert method_key(recipe) == method_key(other)
    assert method_key(recipe) != method_key({**recipe, "train": {"lr": 0.2, "seed": 0}})


def test_earlier_versions_have_no_looks() -> None:
    save("first", "ab", 0, 1, 2)
    path = Path("all") / "first" / results.COMPARISON
    found = results.load(path)
    rows = tuple(replace(row, key="") for row in found.rows)
    results.write_alone(path.parent, replace(found, rows=rows))
    assert seen("ab", 0, 1, 2, 3) == frozenset()
