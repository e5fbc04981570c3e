"""The grid of a comparison: ``strategy=a,b train.seed=0,1,2`` into cells, the seeds outermost."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mtkd_cli.errors import UsageError
from mtkd_cli.plugin.alternatives import strategy_with

OPEN, CLOSED = "[{(", "]})"


@dataclass(frozen=True)
class Cell:
    """One student: a method, and the seeds that it is repeated with.

    Attributes:
        method: key and value of what the grid varies besides seeds, and of what was tuned.
        seeds: key and value of each seed.
        overrides: all that is changed in the recipe.
    """

    method: tuple[tuple[str, str], ...]
    seeds: tuple[tuple[str, str], ...]
    overrides: tuple[str, ...]


@dataclass(frozen=True)
class Grid:
    """What is the same in all cells, what varies, and the seeds."""

    fixed: tuple[str, ...]
    axes: Mapping[str, tuple[str, ...]]
    seeds: Mapping[str, tuple[str, ...]]

    def methods(self, own: str, teachers: int) -> list[tuple[tuple[str, str], ...]]:
        """Return the methods; to each setting the best single teacher is added if it is not there.

        Args:
            own: name of the recipe's strategy, where the grid has none.
            teachers: how many there are; one alone is the best one.
        """
        axes = {"strategy": (own,), **self.axes}
        found = [tuple(zip(axes, values, strict=True)) for values in itertools.product(*axes.values())]
        for method in list(found):
            best = best_teacher_of(method)
            if teachers > 1 and best not in found:
                found.append(best)
        return found

    def cells(self, methods: Sequence[tuple[tuple[str, str], ...]]) -> list[Cell]:
        """Return the cells, all methods of one seed before the next seed."""
        return [
            Cell(method, tuple(zip(self.seeds, seeds, strict=True)), self._overrides(method, seeds))
            for seeds in itertools.product(*self.seeds.values())
            for method in methods
        ]

    def _overrides(self, method: tuple[tuple[str, str], ...], seeds: Sequence[str]) -> tuple[str, ...]:
        strategy, best = dict(method)["strategy"], best_teacher_strategy()
        told = "strategy" in self.axes or strategy == best
        fixed = [
            f for f in self.fixed if strategy != best or f.partition("=")[0].partition(".")[0] != "strategy"
        ]
        varied = [f"{key}={value}" for key, value in method if key != "strategy" or told]
        varied.sort(key=lambda override: override.partition("=")[0] != "strategy")
        return (*fixed, *varied, *(f"{key}={value}" for key, value in zip(self.seeds, seeds, strict=True)))


def best_teacher_strategy() -> str:
    """Return the strategy that uses only the best teacher, which all others must beat."""
    return strategy_with("best-teacher")


def best_teacher_of(method: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...]:
    """Return the best single teacher under a method's other settings."""
    rest = tuple((key, value) for key, value in method if key.partition(".")[0] != "strategy")
    return (("strategy", best_teacher_strategy()), *rest)


def is_seed(key: str) -> bool:
    """Whether a key is a seed: its values repeat a method instead of making another."""
    return key.rpartition(".")[2] == "seed"


def grid_of(overrides: Sequence[str]) -> Grid:
    """Return the grid of ``key=value,value,...``.

    Raises:
        UsageError: no ``=``, an empty value, or one key twice.
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
    """Return the values between commas; commas within brackets or quotes do not split."""
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


def label_of(method: tuple[tuple[str, str], ...], varying: Sequence[str]) -> str:
    """Return how a method is called in tables: its strategy, then what else varies."""
    named = dict(method)
    rest = [f"{key}={named[key]}" for key in varying if key != "strategy" and key in named]
    return ", ".join([named.get("strategy", ""), *rest]).strip(", ")
