"""Parse the grid of a comparison, ``strategy=a,b train.seed=0,1,2``, into one cell per student."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from mtkd_cli.errors import UsageError
from mtkd_cli.plugin.alternatives import strategy_with

OPEN, CLOSED = "[{(", "]})"


Method = tuple[tuple[str, str], ...]
"""Key and value of each setting that varies, besides seeds. The first key is ``strategy``."""
DISTILLATION = ("strategy", "loss", "task.kd")
"""Sections and keys that decide how a student learns from teachers, not what it learns from or how long."""


@dataclass(frozen=True)
class Cell:
    """One student of the grid: a method with one seed.

    Attributes:
        method: settings that the grid varies, besides seeds.
        seeds: key and value of each seed.
        overrides: all overrides of the recipe, tuned settings included.
    """

    method: Method
    seeds: tuple[tuple[str, str], ...]
    overrides: tuple[str, ...]


@dataclass(frozen=True)
class Grid:
    """A parsed grid.

    Attributes:
        fixed: overrides of all cells.
        axes: values of each key that varies.
        seeds: values of each seed key.
    """

    fixed: tuple[str, ...]
    axes: Mapping[str, tuple[str, ...]]
    seeds: Mapping[str, tuple[str, ...]]

    def methods(self, own: str, teachers: int, best_teacher: bool = True) -> list[Method]:
        """Return the methods, and the best single teacher for each equal budget (see `best_teacher_for`).

        Args:
            own: the recipe's strategy, used if the grid has none.
            teachers: number of teachers; with one, every strategy uses the best one.
            best_teacher: whether to add the best single teacher.
        """
        axes = {"strategy": (own,), **self.axes}
        found = [tuple(zip(axes, values, strict=True)) for values in itertools.product(*axes.values())]
        if teachers > 1 and best_teacher:
            for method in list(found):
                if best_teacher_for(method, found) is None:
                    found.append(best_teacher_method(method))
        return found

    def cells(self, methods: Sequence[Method]) -> list[Cell]:
        """Return the cells: all methods with the first seeds, then all with the next seeds."""
        return [
            Cell(method, tuple(zip(self.seeds, seeds, strict=True)), self._overrides(method, seeds))
            for seeds in itertools.product(*self.seeds.values())
            for method in methods
        ]

    def _overrides(self, method: Method, seeds: Sequence[str]) -> tuple[str, ...]:
        strategy, best = dict(method)["strategy"], best_teacher_strategy()
        # the recipe's own strategy keeps its options
        names_strategy = "strategy" in self.axes or strategy == best
        fixed = [f for f in self.fixed if strategy != best or _section(f) != "strategy"]
        varied = [f"{key}={value}" for key, value in method if key != "strategy" or names_strategy]
        varied.sort(key=lambda override: override.partition("=")[0] != "strategy")
        return (*fixed, *varied, *(f"{key}={value}" for key, value in zip(self.seeds, seeds, strict=True)))


def _section(override: str) -> str:
    return override.partition("=")[0].partition(".")[0]


def best_teacher_strategy() -> str:
    """Return the strategy that uses only the best teacher on validation."""
    return strategy_with("best-teacher")


def best_teacher_method(method: Method) -> Method:
    """Return the best single teacher with a method's settings, except its distillation settings.

    So methods with the same teachers, student, data and training share one.
    """
    return (("strategy", best_teacher_strategy()), *_budget(method))


def best_teacher_for(method: Method, methods: Iterable[Method]) -> Method | None:
    """Return the best single teacher that a method is compared with; None if the methods have none.

    It is the one with all the method's settings, otherwise the only one at equal budget.
    """
    first = ("strategy", best_teacher_strategy())
    equal = [m for m in methods if m[0] == first and _budget(m) == _budget(method)]
    same = [m for m in equal if _without_options(m) == _without_options(method)]
    found = same or equal
    return found[0] if len(found) == 1 else None


def _without_options(method: Method) -> Method:
    """Return the settings besides the strategy and its options."""
    return tuple((key, value) for key, value in method if key.partition(".")[0] != "strategy")


def _budget(method: Method) -> Method:
    """Return the settings that are not distillation settings."""
    return tuple(
        (key, value)
        for key, value in method
        if not f"{key}.".startswith(tuple(f"{d}." for d in DISTILLATION))
    )


def is_seed(key: str) -> bool:
    """Whether a key is a seed: its values repeat each method."""
    return key.rpartition(".")[2] == "seed"


def grid_of(overrides: Sequence[str]) -> Grid:
    """Return the grid of ``key=value,value,...``.

    Raises:
        UsageError: an override has no ``=`` or an empty value, or a key is given twice.
    """
    fixed: list[str] = []
    axes: dict[str, tuple[str, ...]] = {}
    seeds: dict[str, tuple[str, ...]] = {}
    for override in overrides:
        key, equals, text = override.partition("=")
        values = tuple(dict.fromkeys(values_of(text)))
        if not equals or not key or (len(values) > 1 and "" in values):
            raise UsageError(
                f"{override!r} is not key=value,value,...", hint="for example train.epochs=10,30"
            )
        if key in axes or key in seeds:
            raise UsageError(f"{key} is given twice", where=override, hint="write its values with commas")
        if is_seed(key):
            seeds[key] = values
        elif len(values) > 1:
            axes[key] = values
        else:
            fixed.append(override)
    return Grid(tuple(fixed), axes, seeds)


def values_of(text: str) -> list[str]:
    """Return the values between commas; commas inside brackets or quotes do not split."""
    values, depth, quote = [""], 0, ""
    for letter in text:
        if quote:
            quote = "" if letter == quote else quote
        elif letter in "'\"":
            quote = letter
        else:
            depth += (letter in OPEN) - (letter in CLOSED)
        if letter == "," and depth <= 0 and not quote:
            values.append("")
        else:
            values[-1] += letter
    return [value.strip() for value in values]


def label_of(method: Method, varying: Sequence[str]) -> str:
    """Return the name of a method in tables: its strategy, then other settings that vary."""
    named = dict(method)
    rest = [f"{key}={named[key]}" for key in varying if key != "strategy" and key in named]
    return ", ".join([named.get("strategy", ""), *rest]).strip(", ")
