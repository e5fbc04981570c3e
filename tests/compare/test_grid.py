"""Parsing grids, and the best single teachers that are added to them."""

from __future__ import annotations

import pytest

from mtkd_cli.compare.grid import best_teacher_for, grid_of, label_of, values_of
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
def test_commas_inside_brackets_and_quotes_do_not_split(text: str, values: list[str]) -> None:
    assert values_of(text) == values


def test_cells_are_ordered_by_seed() -> None:
    grid = grid_of(["strategy=mean,best", "train.seed=0,1", "train.epochs=3"])
    cells = grid.cells(grid.methods("mean", 3))
    assert [cell.overrides for cell in cells] == [
        ("train.epochs=3", "strategy=mean", "train.seed=0"),
        ("train.epochs=3", "strategy=best", "train.seed=0"),
        ("train.epochs=3", "strategy=mean", "train.seed=1"),
        ("train.epochs=3", "strategy=best", "train.seed=1"),
    ]


def best_teachers(*overrides: str, teachers: int = 2, add: bool = True) -> list[dict[str, str]]:
    methods = grid_of(overrides).methods("mean", teachers, add)
    return [dict(method) for method in methods if dict(method)["strategy"] == "best"]


def test_distillation_settings_share_one_best_single_teacher() -> None:
    overrides = ["loss.temperature=1,2", "task.kd=kl,mse", "strategy=weighted", "strategy.tau=0.1,1"]
    assert best_teachers(*overrides, "train.seed=0") == [{"strategy": "best"}]
    grid = grid_of(overrides)
    cells = grid.cells(grid.methods("mean", 2))
    assert len(cells) == 9, "eight settings and one best single teacher"
    assert cells[-1].overrides == ("strategy=best",)


def test_each_budget_has_its_own_best_single_teacher() -> None:
    found = best_teachers("student=mlp:8,mlp:16", "train.epochs=1,2", "loss.temperature=1,2")
    assert len(found) == 4
    assert found[0] == {"strategy": "best", "student": "mlp:8", "train.epochs": "1"}


def test_best_single_teacher_of_the_grid_is_not_trained_again() -> None:
    assert len(best_teachers("strategy=mean,best", "loss.temperature=1,2")) == 2
    assert best_teachers("strategy=mean,median", add=False) == []
    assert best_teachers("strategy=mean,median", teachers=1) == [], "one teacher is the best one"


def test_method_is_compared_with_the_best_single_teacher_at_its_budget() -> None:
    methods = grid_of(["student=a,b", "loss.temperature=1,2"]).methods("mean", 2)
    for method in methods[:4]:
        best = best_teacher_for(method, methods)
        assert best == (("strategy", "best"), ("student", dict(method)["student"]))
    exact = grid_of(["strategy=mean,best", "loss.temperature=1,2"]).methods("mean", 2)
    assert best_teacher_for(exact[0], exact) == (("strategy", "best"), ("loss.temperature", "1"))
    assert best_teacher_for(methods[0], methods[:4]) is None


def test_strategy_of_the_recipe_keeps_its_options() -> None:
    grid = grid_of(["strategy.tau=0.5", "train.seed=0,1"])
    own, best = grid.cells(grid.methods("weighted", 2))[:2]
    assert own.overrides == ("strategy.tau=0.5", "train.seed=0")
    assert best.overrides == ("strategy=best", "train.seed=0")


def test_every_seed_key_repeats_the_methods() -> None:
    grid = grid_of(["data.seed=0,1", "train.seed=0,1", "strategy=mean"])
    assert len(grid.cells(grid.methods("mean", 1))) == 4
    assert not grid.axes


def test_methods_are_named_by_the_settings_that_vary() -> None:
    method = (("strategy", "mean"), ("loss.temperature", "2"), ("student", "mlp:8"))
    assert label_of(method, ["strategy", "loss.temperature"]) == "mean, loss.temperature=2"


@pytest.mark.parametrize("wrong", [["strategy"], ["=a"], ["strategy=a,"], ["train.seed=0", "train.seed=1"]])
def test_invalid_grids_are_rejected(wrong: list[str]) -> None:
    with pytest.raises(UsageError):
        grid_of(wrong)
