"""Every candidate is tried; the one that validates best is kept."""

from typing import Any

import pytest
from torch import nn

from mtkd_cli.errors import TrainingError
from mtkd_cli.recipe.schema import Train
from mtkd_cli.training.hyperparameter_search import candidates, search
from mtkd_cli.training.loop import Evaluation, Trained

SETTINGS = Train(lr=(0.1, 0.2), weight_decay=(0.0, 0.5), epochs=7)


def trained(*rank: float) -> Trained:
    return Trained(Evaluation(rank, {"accuracy": rank[0]}, nn.Identity()), ())


def test_each_pair_of_learning_rate_and_weight_decay_is_a_candidate() -> None:
    found = candidates(SETTINGS)
    assert [(c.lr, c.weight_decay) for c in found] == [
        ((0.1,), (0.0,)),
        ((0.1,), (0.5,)),
        ((0.2,), (0.0,)),
        ((0.2,), (0.5,)),
    ]
    assert {c.epochs for c in found} == {7}


def test_the_best_on_validation_is_kept_and_all_are_listed() -> None:
    results = iter([trained(0.5, -1), trained(0.7, -2), trained(0.7, -1), trained(0.7, -1)])
    found = search(SETTINGS, lambda *_: next(results))
    assert (found.settings.lr, found.settings.weight_decay) == ((0.2,), (0.0,))
    assert found.trained.best.rank == (0.7, -1)
    assert [trial["accuracy"] for trial in found.trials] == [0.5, 0.7, 0.7, 0.7]
    assert found.trials[1] == {"lr": 0.1, "weight_decay": 0.5, "accuracy": 0.7, "val_loss": 2}


def test_a_candidate_that_fails_is_out_and_says_why() -> None:
    def train_one(settings: Train, number: int) -> Trained:
        if settings.lr == (0.2,):
            raise TrainingError("the loss is nan")
        return trained(0.1)

    found = search(SETTINGS, train_one)
    assert found.settings.lr == (0.1,)
    assert [trial.get("failed") for trial in found.trials] == [None, None, *["the loss is nan"] * 2]


def test_if_all_fail_the_error_is_raised() -> None:
    def fail(*_: Any) -> Trained:
        raise TrainingError("the loss is nan")

    with pytest.raises(TrainingError, match="the loss is nan"):
        search(SETTINGS, fail)
