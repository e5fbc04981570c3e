"""Which strategy to use: the evidence decides, and where it is silent nothing is changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mtkd_cli.audit.validation_set import Outcome
from mtkd_cli.interfaces import Metric

DEFAULT = "mean"
SEVERAL = 1.5
"""Teachers that are heard, effectively, from which a strategy is said to hear several."""
ONLY = 0.95
"""Mean weight from which one teacher is said to be the only one heard."""


def recommended(measured: Mapping[str, Outcome], own: str, higher_is_better: bool) -> str:
    """Return the name of the strategy to use.

    Of the strategies, those stay whose score the best one does not surely beat; of these, those
    whose loss the lowest does not surely beat: a student learns the whole answer, not only which
    class is first. If the recipe's own strategy is among them it stays, else ``mean`` if it is,
    else the one of the lowest loss; of those that hear several teachers, if any does: which teacher
    is the best was chosen on these very samples, and a tie with it is partly its luck. "Surely":
    the 95 % interval of the paired difference over validation samples leaves out zero.
    """
    names = sorted(measured)
    best = names[best_of([measured[n] for n in names], names, higher_is_better)]
    level = [n for n in names if not measured[best].gain_over(measured[n], higher_is_better).low > 0]
    lowest = min(level, key=lambda n: measured[n].loss[0])
    left = [n for n in level if not measured[lowest].loss_gain_over(measured[n]).low > 0]
    several = [n for n in left if heard(measured[n]) >= SEVERAL] or left
    by_loss = min(several, key=lambda n: measured[n].loss[0])
    return next((name for name in (own, DEFAULT) if name in left), by_loss)


def best_of(outcomes: Sequence[Outcome], names: Sequence[str], higher_is_better: bool) -> int:
    """Return the index of the best score; of equal scores, of the lowest loss (see `Metric.rank`).

    If losses are equal too, the first name in alphabetical order.
    """
    rank = Metric("score", higher_is_better).rank
    by_name = sorted(range(len(names)), key=names.__getitem__)
    return max(by_name, key=lambda k: rank(outcomes[k].score[0], outcomes[k].loss[0]))


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
