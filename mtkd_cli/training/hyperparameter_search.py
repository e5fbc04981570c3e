"""Candidates of learning rate and weight decay, and which of them validated best."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from mtkd_cli.errors import TrainingError
from mtkd_cli.recipe.schema import Train
from mtkd_cli.training.loop import Trained


@dataclass(frozen=True)
class Trial:
    """One candidate and what became of it.

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
        """Return its row in a report."""
        if isinstance(self.result, TrainingError):
            return {**self.chosen, "failed": self.result.what}
        best = self.result.best
        return {**self.chosen, **best.metrics, "val_loss": -best.rank[-1]}


def candidates(settings: Train) -> list[Train]:
    """Return the settings once for each learning rate and weight decay."""
    pairs = itertools.product(settings.lr, settings.weight_decay)
    return [settings.model_copy(update={"lr": (lr,), "weight_decay": (decay,)}) for lr, decay in pairs]


def best_of(trials: Sequence[Trial]) -> tuple[Trial, Trained]:
    """Return the trial whose best checkpoint validates best (of equal ones the first), and its training.

    Raises:
        TrainingError: all failed; the error of the last.
    """
    trained = [(trial, trial.result) for trial in trials if isinstance(trial.result, Trained)]
    if not trained:
        failures = [trial.result for trial in trials if isinstance(trial.result, TrainingError)]
        raise failures[-1] if failures else TrainingError("there is nothing to train")
    return max(trained, key=lambda pair: pair[1].best.rank)
