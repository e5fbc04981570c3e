"""What an audit finds, as plain facts."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from mtkd_cli.interfaces.significant_digits import rounded
from mtkd_cli.stats.estimate import Difference, Estimate


@dataclass(frozen=True)
class ClassFacts:
    """A teacher on the samples of one class.

    Attributes:
        samples: how many there are (pixels of a map, labelled boxes); None where the task does not say.
        strength: the task's first metric of each class; None if there is none.
        right: share on which its answer is right, None where the task has no classes to answer.
        confidence: mean probability of its answer there, None likewise.
        surely_wrong: whether it is surely wrong on most of them, yet confident.
    """

    name: str
    samples: int | None
    strength: float | None
    right: float | None
    confidence: float | None
    surely_wrong: bool


@dataclass(frozen=True)
class TeacherFacts:
    """A teacher on validation. ``reliability``: (mean confidence, share right, number) by confidence.

    ``calibration``: its temperature and how that was found, None if it is not calibrated. All of this is
    measured on labels of classes that it knows; ``on_every_label`` is its score if the others are wrong
    answers, None if it knows them all. ``by_chance``: as `Details` has it.
    """

    name: str
    labels_seen: str
    score: Estimate
    loss: Estimate
    metrics: dict[str, float]
    reliability: tuple[tuple[float, float, int], ...]
    classes: tuple[ClassFacts, ...]
    calibration: dict[str, Any] | None = None
    on_every_label: Estimate | None = None
    by_chance: dict[str, float] = dataclasses.field(default_factory=dict)


@dataclass(frozen=True)
class PairFacts:
    """Two teachers beside each other.

    Attributes:
        agreement: share of answers that are the same class; None where answers are no classes.
        error_correlation: Spearman's, of their errors on each sample; None if one never varies.
    """

    teachers: tuple[str, str]
    agreement: float | None
    error_correlation: float | None


@dataclass(frozen=True)
class StrategyFacts:
    """What a strategy's ensemble answers on validation samples whose labels it does not see.

    Attributes:
        cross_fitted: whether it learnt from the other folds.
        weights: mean weight that it gave each teacher, in their order; empty if it is no weighting.
    """

    name: str
    score: Estimate
    loss: Estimate
    metrics: dict[str, float]
    cross_fitted: bool
    weights: tuple[float, ...]


@dataclass(frozen=True)
class Change:
    """What a strategy gains by leaving a teacher out, or by adding it to the best teacher alone.

    A gain is better with a positive sign, whatever the direction of the metric; likewise of the loss.
    """

    strategy: str
    teacher: str
    gain: Difference
    loss_gain: Difference


@dataclass(frozen=True)
class Advice:
    """A sentence and the numbers that it rests on. ``about``: what it is about, for programs."""

    about: str
    sentence: str
    evidence: dict[str, Any]


@dataclass(frozen=True)
class Audit:
    """Everything that an audit found. ``not_measured``: why, of strategies and of the oracle, by name."""

    task: str
    metric: str
    higher_is_better: bool
    samples: int
    classes: tuple[str, ...]
    teachers: tuple[TeacherFacts, ...]
    pairs: tuple[PairFacts, ...]
    oracle: Estimate | None
    strategies: tuple[StrategyFacts, ...]
    not_measured: dict[str, str]
    left_out: tuple[Change, ...]
    added: tuple[Change, ...]
    configured: str
    recommended: str
    advice: tuple[Advice, ...]

    def as_dict(self) -> dict[str, Any]:
        """Return the facts for JSON, numbers rounded; what is no number is None."""
        found: dict[str, Any] = _plain(dataclasses.asdict(self))
        return found


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(name): _plain(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    if isinstance(value, float):
        return rounded(value)
    return value
