"""Search over learning rates and weight decays: candidates, and the choice of the best trial."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from mtkd_cli.errors import TrainingError
from mtkd_cli.recipe.schema import Train
from mtkd_cli.training.loop import Trained
from mtkd_cli.training.selection import RankedEvaluation, Selection

EXTENSIONS = 2
"""Maximum number of learning rates tried beyond the recipe's range."""


@dataclass(frozen=True)
class Trial:
    """One candidate and its result.

    Attributes:
        settings: settings with one learning rate and one weight decay.
        result: the finished training, or the error that ended it.
    """

    settings: Train
    result: Trained | TrainingError

    @property
    def chosen(self) -> dict[str, float]:
        """The learning rate and weight decay of this trial."""
        return {"lr": self.settings.lr[0], "weight_decay": self.settings.weight_decay[0]}

    def as_dict(self) -> dict[str, Any]:
        """Return the trial's row for a report. ``rank`` orders trials, see `RankedEvaluation.score`."""
        if isinstance(self.result, TrainingError):
            return {**self.chosen, "failed": self.result.what}
        best, ranked = self.result.best, self.result.selection.chosen
        return {
            **self.chosen,
            **best.metrics,
            "val_loss": best.measurement.loss,
            "rank": list(ranked.score),
            **({} if ranked.distance is None else {"distance": ranked.distance}),
        }


def candidates(settings: Train) -> list[Train]:
    """Return one copy of the settings for each pair of learning rate and weight decay."""
    pairs = itertools.product(settings.lr, settings.weight_decay)
    return [settings.model_copy(update={"lr": (lr,), "weight_decay": (decay,)}) for lr, decay in pairs]


def describe_candidate(candidate: Train, settings: Train) -> str:
    """Return the values of a candidate that others do not share: ``lr 0.01, weight_decay 0.1``.

    Args:
        candidate: settings with one learning rate and one weight decay.
        settings: settings with all values of the recipe.
    """
    values = (
        ("lr", settings.lr, candidate.lr),
        ("weight_decay", settings.weight_decay, candidate.weight_decay),
    )
    return ", ".join(f"{name} {own[0]:g}" for name, tried, own in values if len(set(tried)) > 1)


def next_beyond_range(settings: Train, trials: Sequence[Trial]) -> Train | None:
    """Return the next candidate outside the range of learning rates; None if none should be tried.

    If the best trial is at an edge of the range, the range grows by the ratio of its two outermost values, at
    most `EXTENSIONS` times. A single learning rate is a decision, not a range: it is never extended.

    Args:
        settings: settings with all learning rates of the recipe.
        trials: all trials so far, including those outside the range.
    """
    rates = sorted({trial.settings.lr[0] for trial in trials})
    added = len(rates) - len(set(settings.lr))
    if len(set(settings.lr)) < 2 or added >= EXTENSIONS or all_failed(trials):
        return None
    chosen = best_trial(trials)[0].settings
    if chosen.lr[0] == rates[-1]:
        rate = rates[-1] * rates[-1] / rates[-2]
    elif chosen.lr[0] == rates[0]:
        rate = rates[0] * rates[0] / rates[1]
    else:
        return None
    return chosen.model_copy(update={"lr": (float(f"{rate:.3g}"),)})


def all_failed(trials: Sequence[Trial]) -> bool:
    """Whether every trial failed."""
    return all(isinstance(trial.result, TrainingError) for trial in trials)


def best_trial(trials: Sequence[Trial]) -> tuple[Trial, RankedEvaluation]:
    """Return the best trial and its selected evaluation; see `selection`.

    Raises:
        TrainingError: all trials failed; it is the error of the last one.
    """
    trained = [(trial, trial.result.selection) for trial in trials if isinstance(trial.result, Trained)]
    if not trained:
        failures = [trial.result for trial in trials if isinstance(trial.result, TrainingError)]
        raise failures[-1] if failures else TrainingError("no candidates to train")
    chosen = functools.reduce(Selection.including, (selection for _, selection in trained)).chosen
    owners = {id(ranked): trial for trial, s in trained for ranked in (s.candidate, s.top)}
    return owners[id(chosen)], chosen
