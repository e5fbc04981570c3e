"""Which strategy to use: the simplest one that is not surely worse than another."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

from mtkd_cli.audit.validation_set import Outcome
from mtkd_cli.interfaces import Metric
from mtkd_cli.plugin.alternatives import strategy_with
from mtkd_cli.specs import AggregatorSpec
from mtkd_cli.stats.estimate import Difference
from mtkd_cli.stats.multiple import LEVEL, not_surely_worse

SEVERAL = 1.5
"""Effective number of teachers from which a strategy counts as a mixture."""
ONLY = 0.95
"""Mean weight from which a strategy counts as one teacher alone."""
ONE_ERROR = 0.16
"""One-sided p value of a difference of one standard error."""


@dataclass(frozen=True)
class Choice:
    """The recommended strategy.

    Attributes:
        strategy: its name.
        reason: why, as the end of a sentence.
        as_good: strategies that are not surely worse than another, the recommended one included.
    """

    strategy: str
    reason: str
    as_good: tuple[str, ...]


def recommend(measured: Mapping[str, Outcome], own: str, higher_is_better: bool) -> str:
    """Return the name of the strategy to use, of strategies that are equally simple; see `choose`."""
    return choose(measured, own, higher_is_better).strategy


def choose(
    measured: Mapping[str, Outcome],
    own: str,
    higher_is_better: bool,
    specs: Mapping[str, AggregatorSpec] | None = None,
    too_few_labels: Collection[str] = (),
) -> Choice:
    """Return the strategy to use.

    Strategies that are fitted on too few labels are ignored. Of the others, those stay whose score is not
    surely worse than another's; of these, those whose loss is not (a student learns all probabilities, not
    only the first class). The recipe's own strategy stays if it is among them, unless a simpler one has at
    least its score and loss. Otherwise the simplest one is recommended, equally simple ones by loss.

    A mixture does not depend on which teacher looks best on these samples. So one teacher alone has to have
    the best score, by at least one standard error over the own strategy and equal weights (over every mixture
    if these two are out).

    Args:
        measured: the outcome of each strategy.
        own: the recipe's.
        higher_is_better: direction of the score.
        specs: of the strategies, for their complexity; without them all are equally complex.
        too_few_labels: strategies that are fitted on too few labels.
    """
    names = sorted(set(measured) - set(too_few_labels)) or sorted(measured)

    def gain(first: str, second: str) -> Difference:
        return measured[first].gain_over(measured[second], higher_is_better)

    def loss_gain(first: str, second: str) -> Difference:
        return measured[first].loss_gain_over(measured[second])

    level = _not_worse(names, gain)
    as_good = _not_worse(level, loss_gain)
    mixtures = [n for n in as_good if effective_teachers(measured[n]) >= SEVERAL]
    references = [n for n in (own, strategy_with("uniform")) if n in mixtures] or mixtures

    def is_eligible(name: str) -> bool:
        if name in mixtures or not mixtures:
            return True
        has_best_score = all(gain(name, other).value >= 0 for other in as_good)
        return has_best_score and all(gain(name, other).p_positive < ONE_ERROR for other in references)

    def complexity(name: str) -> tuple[int, float]:
        spec = (specs or {}).get(name)
        return AggregatorSpec.complexity if spec is None else spec.complexity, measured[name].loss.value

    candidates = [name for name in as_good if is_eligible(name)] or as_good
    if own in as_good:
        simpler = [
            name
            for name in candidates
            if complexity(name)[0] < complexity(own)[0]
            and gain(name, own).value >= 0
            and (name not in mixtures or loss_gain(name, own).value >= 0)
        ]
        if not simpler:
            return Choice(own, "no other strategy is clearly better", tuple(as_good))
        best = min(simpler, key=complexity)
        return Choice(best, f"it is simpler than `{own}` and at least as good", tuple(as_good))
    best = min(candidates, key=complexity)
    if own in too_few_labels:
        reason = f"`{own}` needs more labels"
    elif own in measured:
        reason = f"`{own}` has a clearly {'higher loss' if own in level else 'worse score'} than others"
    else:
        reason = f"`{own}` cannot be measured without a student"
    more = ", and this is the simplest of those as good" if len(candidates) > 1 else ""
    return Choice(best, reason + more, tuple(as_good))


def keep(measured: Mapping[str, Outcome], own: str) -> Choice:
    """Return the choice with too few labels for one: the recipe's strategy, or equal weights."""
    by_loss = min(sorted(measured), key=lambda n: measured[n].loss.value)
    kept = next((name for name in (own, strategy_with("uniform")) if name in measured), by_loss)
    return Choice(kept, "there are too few labels to compare strategies", (kept,))


def _not_worse(names: Sequence[str], gain: Callable[[str, str], Difference]) -> list[str]:
    """Return the strategies that are not surely worse than another, at half of the level: it runs twice."""

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


def effective_teachers(outcome: Outcome) -> float:
    """Return the effective number of teachers: 1 / sum of squared mean weights.

    Infinite where outputs are combined without weights.
    """
    squares = sum(weight**2 for weight in outcome.weights)
    return sum(outcome.weights) ** 2 / squares if squares else float("inf")


def dominant_teacher(outcome: Outcome) -> int | None:
    """Return the index of a teacher that has nearly all the weight, None if none has."""
    largest = max(outcome.weights, default=0.0)
    return outcome.weights.index(largest) if largest >= ONLY else None
