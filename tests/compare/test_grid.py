"""Grids: what splits, what repeats, what is added."""

from __future__ import annotations

import pytest

from mtkd_cli.compare.grid import grid_of, label_of, values_of
from mtkd_cli.errors import UsageError


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("a,b", ["a", "b"]),
        ("[1e-3, 3e-3],[1e-2]", ["[1e-3, 3e-3]", "[1e-2]"]),
        ("{name: weighted, by: validation},mean", ["{name: weighted, by: validation}", "mean"]),
        ("'a,b',c", ["'a,b'", "c"]),
        ("x", ["x"]),
        ("", [""]),
    ],
)
def test_commas_within_brackets_and_quotes_do_not_split(text: str, values: list[str]) -> None:
    assert values_of(text) == values


def test_all_methods_of_a_seed_come_before_the_next_seed() -> None:
    grid = grid_of(["strategy=mean,best", "train.seed=0,1", "train.epochs=3"])
    cells = grid.cells(grid.methods("mean", 3))
    assert [cell.overrides for cell in cells] == [
        ("train.epochs=3", "strategy=mean", "train.seed=0"),
        ("train.epochs=3", "strategy=best", "train.seed=0"),
        ("train.epochs=3", "strategy=mean", "train.seed=1"),
        ("train.epochs=3", "strategy=best", "train.seed=1"),
    ]


def test_the_best_single_teacher_is_added_under_each_other_setting() -> None:
    grid = grid_of(["loss.temperature=1,2", "strategy=weighted", "strategy.tau=0.1,1", "train.seed=0"])
    methods = grid.methods("mean", 2)
    best = [dict(method) for method in methods if dict(method)["strategy"] == "best"]
    assert best == [{"strategy": "best", "loss.temperature": t} for t in ("1", "2")]
    cells = [cell for cell in grid.cells(methods) if dict(cell.method)["strategy"] == "best"]
    assert cells[0].overrides == ("strategy=best", "loss.temperature=1", "train.seed=0")
    assert len(grid_of(["train.seed=0,1"]).methods("mean", 1)) == 1, "one teacher is the best one"


def test_the_recipes_own_strategy_keeps_its_options() -> None:
    grid = grid_of(["strategy.tau=0.5", "train.seed=0,1"])
    own, best = grid.cells(grid.methods("weighted", 2))[:2]
    assert own.overrides == ("strategy.tau=0.5", "train.seed=0")
    assert best.overrides == ("strategy=best", "train.seed=0")


def test_every_key_that_is_a_seed_repeats() -> None:
    grid = grid_of(["data.seed=0,1", "train.seed=0,1", "strategy=mean"])
    assert len(grid.cells(grid.methods("mean", 1))) == 4
    assert not grid.axes


def test_methods_are_called_by_what_varies() -> None:
    method = (("strategy", "mean"), ("loss.temperature", "2"), ("student", "mlp:8"))
    assert label_of(method, ["strategy", "loss.temperature"]) == "mean, loss.temperature=2"


@pytest.mark.parametrize("wrong", [["strategy"], ["=a"], ["strategy=a,"], ["train.seed=0", "train.seed=1"]])
def test_what_is_no_grid_is_refused(wrong: list[str]) -> None:
    with pytest.raises(UsageError):
        grid_of(wrong)
