"""The search tries every candidate, extends the range at its edges, and selects one trial."""

from __future__ import annotations

import pytest
from torch import nn

from mtkd_cli.errors import TrainingError
from mtkd_cli.recipe.schema import Train
from mtkd_cli.training.hyperparameter_search import (
    EXTENSIONS,
    Trial,
    best_trial,
    candidates,
    next_beyond_range,
)
from mtkd_cli.training.loop import Evaluation, Trained
from mtkd_cli.training.selection import Measurement, select, smooth

SETTINGS = Train(lr=(0.1, 0.2), weight_decay=(0.0, 0.5), epochs=7)


def trained(value: float, loss: float = 1.0) -> Trained:
    measurement = Measurement(value, loss)
    evaluation = Evaluation(measurement, {"accuracy": value}, nn.Identity())
    return Trained(select(smooth(7, [measurement], evaluation)), ())


def trials(*results: Trained | TrainingError, settings: Train = SETTINGS) -> list[Trial]:
    return [Trial(each, result) for each, result in zip(candidates(settings), results, strict=False)]


def test_candidates_are_all_pairs() -> None:
    found = candidates(SETTINGS)
    assert [(c.lr, c.weight_decay) for c in found] == [
        ((0.1,), (0.0,)),
        ((0.1,), (0.5,)),
        ((0.2,), (0.0,)),
        ((0.2,), (0.5,)),
    ]
    assert {c.epochs for c in found} == {7}


def test_selects_best_trial() -> None:
    tried = trials(trained(0.5, 1), trained(0.7, 2), trained(0.7, 1), trained(0.7, 1))
    best, standing = best_trial(tried)
    assert best.chosen == {"lr": 0.2, "weight_decay": 0.0}
    assert standing.score == (0.7, -1)
    assert [trial.as_dict()["accuracy"] for trial in tried] == [0.5, 0.7, 0.7, 0.7]
    assert tried[1].as_dict() == {
        "lr": 0.1,
        "weight_decay": 0.5,
        "accuracy": 0.7,
        "val_loss": 2,
        "rank": [0.7, -2],
    }


def test_failed_trial_is_skipped_and_reported() -> None:
    failure = TrainingError("the loss is nan")
    tried = trials(trained(0.1), trained(0.1), failure, failure)
    assert best_trial(tried)[0].chosen["lr"] == 0.1
    assert [trial.as_dict().get("failed") for trial in tried] == [None, None, *["the loss is nan"] * 2]


def test_raises_if_all_candidates_fail() -> None:
    failures = trials(*[TrainingError("the loss is nan")] * 4)
    assert next_beyond_range(SETTINGS, failures) is None
    with pytest.raises(TrainingError, match="the loss is nan"):
        best_trial(failures)


RATES = Train(lr=(1e-3, 1e-2), weight_decay=(0.1,))


@pytest.mark.parametrize(("values", "rate"), [((0.9, 0.8), 1e-4), ((0.8, 0.9), 0.1)])
def test_extends_range_at_chosen_edge(values: tuple[float, float], rate: float) -> None:
    more = next_beyond_range(RATES, trials(*map(trained, values), settings=RATES))
    assert more is not None
    assert (more.lr, more.weight_decay) == ((rate,), (0.1,))


def test_does_not_extend_inside_range_or_single_rate() -> None:
    three = Train(lr=(1e-3, 1e-2, 1e-1))
    assert next_beyond_range(three, trials(*map(trained, (0.8, 0.9, 0.8)), settings=three)) is None
    one = Train(lr=(1e-3,))
    assert next_beyond_range(one, trials(trained(0.9), settings=one)) is None
    tried = trials(*map(trained, (0.1, 0.2)), settings=RATES)
    for number in range(EXTENSIONS):
        more = next_beyond_range(RATES, tried)
        assert more is not None
        tried.append(Trial(more, trained(0.3 + number / 10)))
    assert next_beyond_range(RATES, tried) is None
