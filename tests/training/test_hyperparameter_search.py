"""Every candidate is tried; the one that validates best is kept."""

import pytest
from torch import nn

from mtkd_cli.errors import TrainingError
from mtkd_cli.recipe.schema import Train
from mtkd_cli.training.hyperparameter_search import Trial, best_of, candidates
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


def trials(*results: Trained | TrainingError) -> list[Trial]:
    return [Trial(settings, result) for settings, result in zip(candidates(SETTINGS), results, strict=False)]


def test_the_best_on_validation_is_kept_and_all_are_listed() -> None:
    tried = trials(trained(0.5, -1), trained(0.7, -2), trained(0.7, -1), trained(0.7, -1))
    best, training = best_of(tried)
    assert best.chosen == {"lr": 0.2, "weight_decay": 0.0}
    assert training.best.rank == (0.7, -1)
    assert [trial.as_dict()["accuracy"] for trial in tried] == [0.5, 0.7, 0.7, 0.7]
    assert tried[1].as_dict() == {"lr": 0.1, "weight_decay": 0.5, "accuracy": 0.7, "val_loss": 2}


def test_a_candidate_that_fails_is_out_and_says_why() -> None:
    failure = TrainingError("the loss is nan")
    tried = trials(trained(0.1), trained(0.1), failure, failure)
    assert best_of(tried)[0].chosen["lr"] == 0.1
    assert [trial.as_dict().get("failed") for trial in tried] == [None, None, *["the loss is nan"] * 2]


def test_if_all_fail_the_error_is_raised() -> None:
    with pytest.raises(TrainingError, match="the loss is nan"):
        best_of(trials(*[TrainingError("the loss is nan")] * 4))
