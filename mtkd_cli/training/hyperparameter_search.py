"""Train a student once for each candidate of learning rate and weight decay; keep the best on validation."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from mtkd_cli.errors import TrainingError
from mtkd_cli.recipe.schema import Train
from mtkd_cli.training.loop import Trained


@dataclass(frozen=True)
class Found:
    """The best candidate: its settings, its training, and the rows of all candidates."""

    settings: Train
    trained: Trained
    trials: tuple[dict[str, Any], ...]


def candidates(settings: Train) -> list[Train]:
    """Return the settings once for each learning rate and weight decay."""
    pairs = itertools.product(settings.lr, settings.weight_decay)
    return [settings.model_copy(update={"lr": (lr,), "weight_decay": (decay,)}) for lr, decay in pairs]


def search(
    settings: Train, train_one: Callable[[Train, int], Trained], say: Callable[[str], None] = lambda _: None
) -> Found:
    """Return the candidate whose best checkpoint validates best.

    A candidate whose loss is not finite is out; if all are, the error is raised.

    Args:
        settings: with all candidates.
        train_one: trains the candidate of a number, from 1 on.
        say: told who is out.
    """
    found: list[tuple[Train, Trained]] = []
    trials: list[dict[str, Any]] = []
    failure: TrainingError | None = None
    for number, candidate in enumerate(candidates(settings), start=1):
        trial = {"lr": candidate.lr[0], "weight_decay": candidate.weight_decay[0]}
        try:
            trained = train_one(candidate, number)
        except TrainingError as error:
            failure = error
            trials.append({**trial, "failed": error.what})
            say(f"the candidate lr {trial['lr']:g} is out: {error.what}")
            continue
        found.append((candidate, trained))
        trials.append({**trial, **trained.best.metrics, "val_loss": -trained.best.rank[-1]})
    if not found:
        raise failure or TrainingError("there is nothing to train")
    settings, trained = max(found, key=lambda pair: pair[1].best.rank)
    return Found(settings, trained, tuple(trials))
