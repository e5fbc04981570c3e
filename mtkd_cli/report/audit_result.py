"""What ``audit.json`` holds: the facts of an audit."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any

from pydantic import BeforeValidator

from mtkd_cli.report.calibration import Calibration
from mtkd_cli.report.number import Number
from mtkd_cli.stats import estimate

FORMAT = 2
"""Number of the layout; changes when a field changes its name or meaning."""


def _with_nan(value: Any) -> Any:
    """Return the parts of an estimate of a file: an undefined number is null there, NaN here."""
    if not isinstance(value, dict):
        return value
    return {name: math.nan if part is None else part for name, part in value.items()}


Estimate = Annotated[estimate.Estimate, BeforeValidator(_with_nan)]
Difference = Annotated[estimate.Difference, BeforeValidator(_with_nan)]


@dataclass(frozen=True)
class ClassFacts:
    """A teacher on the samples of one class.

    Attributes:
        name: the class.
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
    """A teacher on validation, on labels of classes that it knows.

    Attributes:
        name: its name in the recipe.
        labels_seen: in words, which of the data's labels it was trained on.
        score: the primary metric.
        loss: the evaluation loss.
        metrics: all metrics, by name.
        reliability: of answers of similar confidence: mean confidence, share that is right, number.
        classes: the teacher on each class; empty where the task has no measure of a class.
        calibration: its temperature; None if it is not calibrated.
        on_every_label: its score if labels of classes that it does not know count as wrong; None if it knows
            them all.
        by_chance: by metric, what a perfectly calibrated model with the same confidences shows.
    """

    name: str
    labels_seen: str
    score: Estimate
    loss: Estimate
    metrics: Mapping[str, Number]
    reliability: tuple[tuple[Number, Number, int], ...]
    classes: tuple[ClassFacts, ...]
    calibration: Calibration | None = None
    on_every_label: Estimate | None = None
    by_chance: Mapping[str, Number] = field(default_factory=dict)

    @property
    def whole(self) -> estimate.Estimate:
        """The score on every label."""
        return self.on_every_label or self.score


@dataclass(frozen=True)
class PairFacts:
    """Two teachers beside each other.

    Attributes:
        teachers: their names.
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
        name: the strategy.
        score: the primary metric.
        loss: the evaluation loss.
        metrics: all metrics, by name.
        cross_fitted: whether it learnt from the other folds.
        weights: mean weight that it gave each teacher, in their order; empty if it gives no weights.
    """

    name: str
    score: Estimate
    loss: Estimate
    metrics: Mapping[str, Number]
    cross_fitted: bool
    weights: tuple[Number, ...]


@dataclass(frozen=True)
class Change:
    """What a strategy gains by leaving a teacher out, or by adding it to the best teacher alone.

    Attributes:
        strategy: the strategy.
        teacher: the teacher that is left out or added.
        gain: of the primary metric; positive is better, whatever the metric's direction.
        loss_gain: how much lower the loss is.
    """

    strategy: str
    teacher: str
    gain: Difference
    loss_gain: Difference


@dataclass(frozen=True)
class Advice:
    """A sentence and the numbers that it rests on.

    Attributes:
        about: what it is about, for programs.
        sentence: the advice in words.
        evidence: the numbers, by name.
    """

    about: str
    sentence: str
    evidence: Mapping[str, Any]


@dataclass(frozen=True)
class Audit:
    """Everything that an audit found, on the labeled validation samples.

    Attributes:
        task: the task.
        metric: the metric that decides.
        higher_is_better: its direction.
        samples: number of samples.
        classes: class names, or names of the values.
        teachers: each teacher, in the order of the recipe.
        pairs: every two teachers.
        oracle: score if the right teacher were taken each time; None if it was not measured.
        strategies: each strategy, the best first.
        not_measured: why not, of strategies and of the oracle, by name.
        left_out: what leaving a teacher out gains.
        added: what adding a teacher to the best one gains.
        configured: the recipe's strategy.
        recommended: the strategy to use.
        advice: the advice, what matters most first.
        best_teacher: name of the teacher with the best score on every label.
        recipe: the resolved recipe.
        format: number of the layout of this file.
    """

    task: str
    metric: str
    higher_is_better: bool
    samples: int
    classes: tuple[str, ...]
    teachers: tuple[TeacherFacts, ...]
    pairs: tuple[PairFacts, ...]
    oracle: Estimate | None
    strategies: tuple[StrategyFacts, ...]
    not_measured: Mapping[str, str]
    left_out: tuple[Change, ...]
    added: tuple[Change, ...]
    configured: str
    recommended: str
    advice: tuple[Advice, ...]
    best_teacher: str = ""
    recipe: Mapping[str, Any] = field(default_factory=dict)
    format: int = FORMAT
