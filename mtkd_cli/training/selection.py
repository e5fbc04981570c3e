"""The one rule for what is kept: an evaluation of a training, and a candidate of a search.

With few validation labels, accuracies tie and single evaluations are noise. So evaluations are smoothed over
a window, ranked by a proper score, and those within one standard error of the best one count as equal; the
number of equals is cut down by what needs no labels: the distance to the merged teachers, or training to the
end. docs/benchmarks/selection.md compares this rule with others.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

SELECTION = 1
"""Changes with the rule, so that students chosen by another rule are not reused."""
WINDOW = 5
"""Evaluations that a score is averaged over, at most."""


@dataclass(frozen=True, eq=False)
class Measurement:
    """One evaluation, before it is smoothed.

    Attributes:
        value: the primary metric, larger is better.
        loss: mean validation loss, a proper score.
        losses: validation loss of each labeled sample, ``[N]``; None where the metric ranks.
        distance: mean distillation loss to the merged teachers on training samples; None without teachers.
    """

    value: float
    loss: float
    losses: NDArray[np.float64] | None = None
    distance: float | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        return {**vars(self), "losses": None if self.losses is None else self.losses.tolist()}

    @classmethod
    def of(cls, facts: Mapping[str, Any]) -> Measurement:
        """Return what `as_dict` returned."""
        losses = facts["losses"]
        return cls(**{**facts, "losses": None if losses is None else np.array(losses)})


@dataclass(frozen=True, eq=False)
class Standing:
    """An evaluation with its smoothed scores.

    Attributes:
        step: optimizer steps before it.
        score: orders evaluations, larger is better: (- loss), or (metric, - loss).
        losses: smoothed loss of each validation sample, ``[N]``; None where the metric ranks.
        distance: see `Measurement`.
        evaluation: what is kept, a module with its metrics.
    """

    step: int
    score: tuple[float, ...]
    losses: NDArray[np.float64] | None
    distance: float | None
    evaluation: Any

    def is_clearly_worse(self, best: Standing) -> bool:
        """Whether the validation loss is larger than that of ``best`` by more than one standard error.

        The error is that of the mean paired difference. Where the metric ranks, a lower score is enough.
        """
        if self.losses is None or best.losses is None or len(self.losses) < 2:
            return self.score < best.score
        difference = self.losses - best.losses
        error = difference.std(ddof=1) / math.sqrt(len(difference))
        return not difference.mean() <= error  # NaN is worse

    @property
    def order(self) -> tuple[float, ...]:
        """What orders standings that validate equally well: the distance, then steps, then the score."""
        return (-math.inf if self.distance is None else -self.distance, self.step, *self.score)


@dataclass(frozen=True)
class Selection:
    """The standings that are kept of a training, or of a search.

    Attributes:
        top: the best validation score.
        chosen: of the standings that are not clearly worse than ``top``, the first by `Standing.order`.
    """

    top: Standing
    chosen: Standing

    def including(self, other: Selection) -> Selection:
        """Return the selection from both."""
        top = max(self.top, other.top, key=lambda standing: standing.score)
        equal = [s for s in (self.chosen, other.chosen) if not s.is_clearly_worse(top)]
        return Selection(top, max([*equal, top], key=lambda standing: standing.order))


def select(standing: Standing) -> Selection:
    """Return the selection from one standing."""
    return Selection(standing, standing)


def smoothed(step: int, recent: Sequence[Measurement], evaluation: Any) -> Standing:
    """Return the standing of the last of some measurements.

    Args:
        step: optimizer steps before it.
        recent: the measurements of the window, the last one is ranked.
        evaluation: what is kept with it.
    """
    last = recent[-1]
    loss = _finite(np.mean([measurement.loss for measurement in recent]))
    if last.losses is None:
        value = _finite(-np.mean([measurement.value for measurement in recent]))
        return Standing(step, (-value, -loss), None, last.distance, evaluation)
    # [W, N] -> [N]
    losses = np.mean([m.losses for m in recent if m.losses is not None], axis=0)
    return Standing(step, (-loss,), losses, last.distance, evaluation)


def window(evaluations: int) -> int:
    """Return how many evaluations a score is averaged over: at most a quarter of a training's."""
    return max(1, min(WINDOW, evaluations // 4))


def _finite(value: float | np.floating[Any]) -> float:
    """Return a value that is to be small, infinity for NaN."""
    return math.inf if math.isnan(value) else float(value)
