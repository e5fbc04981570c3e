"""Candidates of learning rate and weight decay, and which of them is chosen."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from mtkd_cli.errors import TrainingError
from mtkd_cli.recipe.schema import Train
from mtkd_cli.training.loop import Trained
from mtkd_cli.training.selection import Selection, Standing

EXTENSIONS = 2
"""Learning rates that are tried beyond the recipe's, at most."""


@dataclass(frozen=True)
class Trial:
    """One candidate and its result.

    Attributes:
        settings: with one learning rate and one weight decay.
        result: its training, or why it failed.
    """

    settings: Train
    result: Trained | TrainingError

    @property
    def chosen(self) -> dict[str, float]:
        """Its learning rate and weight decay."""
        return {"lr": self.settings.lr[0], "weight_decay": self.settings.weight_decay[0]}

    def as_dict(self) -> dict[str, Any]:
        """Return its row in a report. ``rank`` orders trials, see `Standing.score`."""
        if isinstance(self.result, TrainingError):
            return {**self.chosen, "failed": self.result.what}
        best, standing = self.result.best, self.result.selection.chosen
        return {
            **self.chosen,
            **best.metrics,
            "val_loss": best.measurement.loss,
            "rank": list(standing.score),
            **({} if standing.distance is None else {"distance": standing.distance}),
        }


def candidates(settings: Train) -> list[Train]:
    """Return the settings once for each learning rate and weight decay."""
    pairs = itertools.product(settings.lr, settings.weight_decay)
    return [settings.model_copy(update={"lr": (lr,), "weight_decay": (decay,)}) for lr, decay in pairs]


def beyond(settings: Train, trials: Sequence[Trial]) -> Train | None:
    """Return the next candidate: beyond the range of learning rates, if its edge was chosen.

    The range grows by the ratio of its outer values. One learning rate is a decision, not a range; and at
    most `EXTENSIONS` are added.

    Args:
        settings: with all learning rates of the recipe.
        trials: what was tried, those beyond the range too.
    """
    rates = sorted({trial.settings.lr[0] for trial in trials})
    added = len(rates) - len(set(settings.lr))
    if len(set(settings.lr)) < 2 or added >= EXTENSIONS or all_failed(trials):
        return None
    chosen = best_of(trials)[0].settings
    if chosen.lr[0] == rates[-1]:
        rate = rates[-1] * rates[-1] / rates[-2]
    elif chosen.lr[0] == rates[0]:
        rate = rates[0] * rates[0] / rates[1]
    else:
        return None
    return chosen.model_copy(update={"lr": (float(f"{rate:.3g}"),)})


def all_failed(trials: Sequence[Trial]) -> bool:
    """Whether no trial has a student."""
    return all(isinstance(trial.result, TrainingError) for trial in trials)


def best_of(trials: Sequence[Trial]) -> tuple[Trial, Standing]:
    """Return the chosen trial, and its standing that is kept; see `selection`.

    Raises:
        TrainingError: all failed; the error of the last.
    """
    trained = [(trial, trial.result.selection) for trial in trials if isinstance(trial.result, Trained)]
    if not trained:
        failures = [trial.result for trial in trials if isinstance(trial.result, TrainingError)]
        raise failures[-1] if failures else TrainingError("there is nothing to train")
    chosen = functools.reduce(Selection.including, (selection for _, selection in trained)).chosen
    owners = {id(kept): trial for trial, s in trained for kept in (s.chosen, s.top)}
    return owners[id(chosen)], chosen
