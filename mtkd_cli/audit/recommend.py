"""Which strategy to use: the evidence decides, and where it is silent nothing is changed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from mtkd_cli.audit.validation_set import Outcome
from mtkd_cli.interfaces import Metric
from mtkd_cli.plugin.alternatives import strategy_with
from mtkd_cli.stats.estimate import Difference
from mtkd_cli.stats.multiple import LEVEL, not_surely_worse

SEVERAL = 1.5
"""Teachers that are heard, effectively, from which a strategy is said to hear several."""
ONLY = 0.95
"""Mean weight from which one teacher is said to be the only one heard."""


def recommended(measured: Mapping[str, Outcome], own: str, higher_is_better: bool) -> str:
    """Return the name of the strategy to use.

    Of the strategies, those stay whose score is not surely worse than another's; of these, those whose loss
    is not: a student learns the whole answer, not only which class is first. If the recipe's own strategy is
    among them it stays, else the one with equal weights if it is, else the one of the lowest loss; of those
    that hear several teachers, if any does: which teacher is the best was chosen on these very samples, and a
    tie with it is partly its luck. "Surely" counts how many strategies are compared: the chance that the best
    of them is left out is at most 5 %.
    """
    names = sorted(measured)
    level = _not_worse(names, lambda a, b: measured[a].gain_over(measured[b], higher_is_better))
    left = _not_worse(level, lambda a, b: measured[a].loss_gain_over(measured[b]))
    several = [n for n in left if heard(measured[n]) >= SEVERAL] or left
    by_loss = min(several, key=lambda n: measured[n].loss.value)
    return next((name for name in (own, strategy_with("uniform")) if name in left), by_loss)


def kept(measured: Mapping[str, Outcome], own: str) -> str:
    """Return the strategy to keep where the labels are too few to choose by: the recipe's own."""
    by_loss = min(sorted(measured), key=lambda n: measured[n].loss.value)
    return next((name for name in (own, strategy_with("uniform")) if name in measured), by_loss)


def _not_worse(names: Sequence[str], gain: Callable[[str, str], Difference]) -> list[str]:
    """Return the strategies that are not surely worse than another.

    At half of the level, because it is asked twice.
    """

    def p_better(first: int, second: int) -> float:
        return gain(names[first], names[second]).p_positive

    return [names[index] for index in not_surely_worse(len(names), p_better, LEVEL / 2)]


def best_of(outcomes: Sequence[Outcome], names: Sequence[str], higher_is_better: bool) -> int:
    """Return the index of the best score; of equal scores, of the lowest loss (see `Metric.rank`).

    If losses are equal too, the first name in alphabetical order.
    """
    rank = Metric("score", higher_is_better).rank
    by_name = sorted(range(len(names)), key=names.__getitem__)
    return max(by_name, key=lambda k: rank(outcomes[k].score.value, outcomes[k].loss.value))


def heard(outcome: Outcome) -> float:
    """Return how many teachers are heard, effectively: 1 / sum of squared mean weights.

    Infinite where answers are combined without weights.
    """
    squares = sum(weight**2 for weight in outcome.weights)
    return sum(outcome.weights) ** 2 / squares if squares else float("inf")


def only_heard(outcome: Outcome) -> int | None:
    """Return which teacher is hardly mixed with any other, None if there is no such."""
    largest = max(outcome.weights, default=0.0)
    return outcome.weights.index(largest) if largest >= ONLY else None
