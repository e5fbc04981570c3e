"""What ``audit.json`` holds: the facts of an audit."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator

from mtkd_cli.report.calibration import Calibration
from mtkd_cli.report.number import Number
from mtkd_cli.stats import estimate

FORMAT = 3
"""Number of the layout; changes when a field changes its name or meaning."""


def _with_nan(value: Any) -> Any:
    """Return the parts of an estimate of a file: an undefined number is null there, NaN here."""
    if not isinstance(value, dict):
        return value
    return {name: math.nan if part is None else part for name, part in value.items()}


Severity = Literal["error", "warning", "note"]

Estimate = Annotated[estimate.Estimate, BeforeValidator(_with_nan)]
Difference = Annotated[estimate.Difference, BeforeValidator(_with_nan)]


@dataclass(frozen=True)
class ClassFacts:
    """A teacher on the samples of one class.

    Attributes:
        name: the class.
        samples: number of its labels (pixels of a map, boxes); None where the task does not count them.
        strength: the task's first metric of each class; None if there is none.
        right: share of right predictions; None where the task does not predict classes.
        confidence: mean probability of the predictions; None likewise.
        surely_wrong: whether it is confident, and surely wrong on most of the samples.
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
        labels_seen: which of the data's labels it was trained on, in words.
        score: the primary metric.
        loss: the evaluation loss.
        metrics: all metrics, by name.
        reliability: of predictions of similar confidence: mean confidence, share of right ones, number.
        classes: the teacher on each class; empty where the task has no metric of classes.
        calibration: its temperature; None if it is not calibrated.
        on_every_label: its score if labels of classes that it does not know count as wrong; None if it knows
            all.
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
    """A pair of teachers.

    Attributes:
        teachers: their names.
        agreement: share of equal predictions; None where the task does not predict classes.
        error_correlation: Spearman's coefficient of their errors over samples; None if one is constant.
    """

    teachers: tuple[str, str]
    agreement: float | None
    error_correlation: float | None


@dataclass(frozen=True)
class StrategyFacts:
    """The ensemble of a strategy on validation samples whose labels it does not see.

    Attributes:
        name: the strategy.
        score: the primary metric.
        loss: the evaluation loss.
        metrics: all metrics, by name.
        cross_fitted: whether it was fitted on the other folds.
        weights: mean weight of each teacher, in their order; empty if it has no weights.
        verdict: ``recommended``; ``as good``: not surely worse than another; ``worse``; or the labels that it
            needs.
    """

    name: str
    score: Estimate
    loss: Estimate
    metrics: Mapping[str, Number]
    cross_fitted: bool
    weights: tuple[Number, ...]
    verdict: str = ""


@dataclass(frozen=True)
class Change:
    """The gain of a strategy by leaving a teacher out, or by adding it to the best teacher.

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

    def as_measured(self, higher_is_better: bool) -> tuple[estimate.Estimate, estimate.Estimate]:
        """Return the changes of the metric and of the loss, in their own directions."""
        return self.gain if higher_is_better else -self.gain, -self.loss_gain


@dataclass(frozen=True)
class TeacherSubset:
    """Some teachers that keep nearly the score of all, and what they cost.

    Attributes:
        teachers: their names.
        score: the primary metric of the recommended strategy with these teachers.
        gain: of the primary metric, over all teachers; positive is better, whatever the metric's direction.
        share: share of the score of all teachers, at least 0.99; of errors the inverse ratio.
        latency_ms: sum of the latencies of one sample, in milliseconds; teachers in files count as 0.
    """

    teachers: tuple[str, ...]
    score: Estimate
    gain: Difference
    share: Number
    latency_ms: float


@dataclass(frozen=True)
class Finding:
    """Something to know or to change.

    Attributes:
        severity: ``error``: a teacher is probably set up wrong; ``warning``: it costs accuracy; ``note``.
        about: kind of finding, for programs.
        sentence: the finding.
        action: what to do; empty if nothing.
        teacher: the teacher it is about; empty if none.
        override: ``KEY=VALUE`` that applies the action; empty if there is none.
        evidence: its numbers, by name.
    """

    severity: Severity
    about: str
    sentence: str
    action: str = ""
    teacher: str = ""
    override: str = ""
    evidence: Mapping[str, Any] = field(default_factory=dict)


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
        oracle: score of the right teacher for each sample; None if it was not measured.
        strategies: each strategy, best first.
        not_measured: reason, of strategies and of the oracle, by name.
        left_out: gain by leaving a teacher out.
        added: gain by adding a teacher to the best one.
        configured: the recipe's strategy.
        recommended: the strategy to use.
        findings: errors first, then the recommendation.
        best_teacher: name of the teacher with the best score on every label.
        reason: why the strategy is recommended.
        recommended_teacher: the teacher to use alone; empty if a mixture is recommended.
        recipe: the resolved recipe.
        format: number of the layout of this file.
        teacher_budget: all teachers, then fewer and fewer that keep 99 % of the score, the cheapest last;
            empty if it was not measured.
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
    findings: tuple[Finding, ...]
    best_teacher: str = ""
    reason: str = ""
    recommended_teacher: str = ""
    recipe: Mapping[str, Any] = field(default_factory=dict)
    format: int = FORMAT
    teacher_budget: tuple[TeacherSubset, ...] = ()
