"""The rule that selects an evaluation of a training and a candidate of a search.

With few validation labels, accuracies tie and single evaluations are noisy. So scores are smoothed over a
window of evaluations and ranked by a proper score. A distilled student is the evaluation closest to the
merged teachers, among those within one standard error of the best. Other students are their last evaluation,
or the best one if the last is worse than that by more than one standard error.
docs/benchmarks/selection.md compares this rule with others.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

SELECTION = 2
"""Version of the rule: part of content keys, so that results selected by another rule are not reused."""
WINDOW = 5
"""Maximum number of evaluations that a score is averaged over."""


@dataclass(frozen=True, eq=False)
class Measurement:
    """One evaluation, before it is smoothed.

    Attributes:
        value: primary metric, signed so that larger is better.
        loss: mean validation loss, a proper score.
        losses: validation loss of each labeled sample, ``[N]``; None if the metric ranks.
        distance: mean distillation loss to the merged teachers on training samples; None without teachers.
    """

    value: float
    loss: float
    losses: NDArray[np.float64] | None = None
    distance: float | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return the measurement for JSON."""
        return {**vars(self), "losses": None if self.losses is None else self.losses.tolist()}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Measurement:
        """Return the measurement from the result of `as_dict`."""
        losses = values["losses"]
        return cls(**{**values, "losses": None if losses is None else np.array(losses)})


@dataclass(frozen=True, eq=False)
class RankedEvaluation:
    """An evaluation with its smoothed scores.

    Attributes:
        step: number of optimizer steps before the evaluation.
        score: sort key, larger is better: (-loss,) or (metric, -loss).
        losses: smoothed loss of each validation sample, ``[N]``; None if the metric ranks.
        distance: distance to the merged teachers, see `Measurement`.
        evaluation: the evaluation, with its module and metrics.
    """

    step: int
    score: tuple[float, ...]
    losses: NDArray[np.float64] | None
    distance: float | None
    evaluation: Any

    def is_clearly_worse(self, best: RankedEvaluation) -> bool:
        """Whether the validation loss exceeds that of ``best`` by more than one standard error.

        It is the standard error of the mean paired difference. If the metric ranks, a lower score is enough.
        """
        if self.losses is None or best.losses is None or len(self.losses) < 2:
            return self.score < best.score
        difference = self.losses - best.losses
        error = difference.std(ddof=1) / math.sqrt(len(difference))
        return not difference.mean() <= error  # NaN counts as worse

    @property
    def order(self) -> tuple[float, ...]:
        """Sort key of candidates: smallest distance, latest step, best score."""
        return (-math.inf if self.distance is None else -self.distance, self.step, *self.score)


@dataclass(frozen=True)
class Selection:
    """The best evaluations of a training or a search.

    Attributes:
        top: evaluation with the best validation score.
        candidate: the first by `RankedEvaluation.order`; with distances, of those not clearly worse than
            ``top``.
    """

    top: RankedEvaluation
    candidate: RankedEvaluation

    @property
    def chosen(self) -> RankedEvaluation:
        """The candidate, or ``top`` if the candidate is clearly worse."""
        return self.top if self.candidate.is_clearly_worse(self.top) else self.candidate

    def including(self, other: Selection) -> Selection:
        """Return the selection from both selections."""
        top = max(self.top, other.top, key=lambda ranked: ranked.score)
        candidates = [self.candidate, other.candidate]
        if top.distance is not None:
            candidates = [c for c in candidates if not c.is_clearly_worse(top)] + [top]
        return Selection(top, max(candidates, key=lambda ranked: ranked.order))


def select(ranked: RankedEvaluation) -> Selection:
    """Return the selection from a single evaluation."""
    return Selection(ranked, ranked)


def smooth(step: int, recent: Sequence[Measurement], evaluation: Any) -> RankedEvaluation:
    """Return the last evaluation with scores averaged over the window.

    Args:
        step: number of optimizer steps before the evaluation.
        recent: measurements in the window; the last one belongs to ``evaluation``.
        evaluation: the last evaluation.
    """
    last = recent[-1]
    loss = _nan_to_inf(np.mean([measurement.loss for measurement in recent]))
    if last.losses is None:
        value = _nan_to_inf(-np.mean([measurement.value for measurement in recent]))
        return RankedEvaluation(step, (-value, -loss), None, last.distance, evaluation)
    # [W, N] -> [N]
    losses = np.mean([m.losses for m in recent if m.losses is not None], axis=0)
    return RankedEvaluation(step, (-loss,), losses, last.distance, evaluation)


def window_size(evaluations: int) -> int:
    """Return the number of evaluations to average over: at most a quarter of those of a training."""
    return max(1, min(WINDOW, evaluations // 4))


def _nan_to_inf(value: float | np.floating[Any]) -> float:
    """Return infinity for NaN, else the value."""
    return math.inf if math.isnan(value) else float(value)
