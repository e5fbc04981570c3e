"""The training loop is reproducible, selects the best evaluation, and raises on NaN."""

import copy
import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from mtkd_cli.errors import TrainingError
from mtkd_cli.recipe.schema import Train
from mtkd_cli.training.loop import (
    Evaluation,
    Losses,
    Step,
    Trained,
    read_numbers,
    shuffled_batches,
    steps_per_epoch,
    train,
)
from mtkd_cli.training.optimizer import create_optimizer, create_schedule
from mtkd_cli.training.selection import Measurement
from mtkd_cli.training.state import ema_decay

INPUTS = torch.randn(20, 3, generator=torch.Generator().manual_seed(0))
TARGETS = torch.randint(0, 2, (20,), generator=torch.Generator().manual_seed(1))


@dataclass
class RecordingListener:
    """Stores all events, and the module's weights after each step."""

    module: nn.Module
    steps: list[Step] = field(default_factory=list)
    losses: list[Losses] = field(default_factory=list)
    rows: list[dict[str, float]] = field(default_factory=list)
    weights: list[Tensor] = field(default_factory=list)

    def on_start(self, done: int, curve: list[dict[str, float]]) -> None:
        pass

    def on_step(self, step: Step, losses: Losses) -> None:
        self.steps.append(step)
        self.losses.append(losses)
        self.weights.append(flat_parameters(self.module))

    def on_evaluation(self, row: dict[str, float]) -> None:
        self.rows.append(row)


def flat_parameters(module: nn.Module) -> Tensor:
    return torch.cat([p.detach().clone().flatten() for p in module.parameters()])


def network() -> nn.Sequential:
    torch.manual_seed(3)
    return nn.Sequential(nn.Linear(3, 8), nn.BatchNorm1d(8), nn.Dropout(0.3), nn.ReLU(), nn.Linear(8, 2))


class Data:
    """Twenty samples, the same in every epoch."""

    def __len__(self) -> int:
        return len(INPUTS)

    def with_views(self, steps: Iterable[Step]) -> Iterator[Step]:
        return (replace(step, views=INPUTS[step.indices]) for step in steps)


def labels(output: Tensor, step: Step) -> Losses:
    return Losses(nn.functional.cross_entropy(output, TARGETS[step.indices]))


def scores(*ranks: tuple[float, ...]) -> Callable[[nn.Module], Evaluation]:
    """Return a validation function with these scores in turn; its metrics hold the number of the call."""
    numbers = iter(enumerate(ranks))

    def evaluate(module: nn.Module) -> Evaluation:
        number, (value, *loss) = next(numbers)
        module.eval()
        measurement = Measurement(value, -loss[0] if loss else 0.0)
        return Evaluation(measurement, {"call": number}, copy.deepcopy(module))

    return evaluate


def run(
    module: nn.Module | None = None, steps: int = 6, every: int = 3, objective: Any = labels, **options: Any
) -> tuple[Trained, RecordingListener]:
    module = module or network()
    listener = RecordingListener(module)
    evaluate = options.pop("evaluate", scores(*[(0.0,)] * steps))
    options = {"lr": (0.01,), "weight_decay": (0.01,), "batch_size": 5, "warmup": 0.0, **options}
    return train(module, Data(), objective, evaluate, Train(**options), steps, every, listener), listener


@pytest.mark.parametrize("options", [{}, {"optimizer": "sgd"}, {"ema": 0.9}, {"warmup": 0.5, "clip": 0.1}])
def test_training_is_reproducible(options: dict[str, Any]) -> None:
    """Dropout and sample order do not depend on torch's global generator."""
    _, first = run(network(), **options)
    module = network()
    torch.rand(17)
    _, second = run(module, **options)
    assert all(torch.equal(a, b) for a, b in zip(first.weights, second.weights, strict=True))
    _, third = run(**options, seed=1)
    assert not torch.equal(first.weights[-1], third.weights[-1])


@settings(deadline=None, max_examples=50)
@given(samples=st.integers(1, 70), batch_size=st.integers(1, 20), seed=st.integers(0, 5))
def test_each_epoch_covers_every_sample_once(samples: int, batch_size: int, seed: int) -> None:
    batches, count = shuffled_batches(samples, batch_size, seed), steps_per_epoch(samples, batch_size)
    for epoch in range(3):
        seen = [next(batches) for _ in range(count)]
        assert {number for number, _ in seen} == {epoch}
        assert sorted(np.concatenate([indices for _, indices in seen])) == list(range(samples))
        sizes = [len(indices) for _, indices in seen]
        assert all(size == batch_size for size in sizes[:-1])
        if batch_size > 1 and samples > 1:
            assert min(sizes) > 1, "BatchNorm needs two samples"


def test_last_batch_of_one_joins_previous() -> None:
    batches = shuffled_batches(11, 5, seed=0)
    assert [len(next(batches)[1]) for _ in range(4)] == [5, 6, 5, 6]
    assert [steps_per_epoch(n, 5) for n in (1, 5, 6, 7, 10, 11, 12)] == [1, 1, 1, 2, 2, 2, 3]


def test_kd_ratio_mixes_losses() -> None:
    losses = Losses(torch.tensor(2.0), torch.tensor(10.0), 0.75)
    assert losses.total.item() == 0.25 * 2 + 0.75 * 10
    assert Losses(torch.tensor(2.0), None, 0.75).total.item() == 2


def test_curve_has_mean_losses_since_last_row() -> None:
    def objective(output: Tensor, step: Step) -> Losses:
        return Losses(output.sum() * 0 + step.number, output.sum() * 0 + 10.0 * step.number, 0.5)

    trained, listener = run(steps=7, every=3, objective=objective)
    assert [row["step"] for row in trained.curve] == [3, 6, 7]
    assert [row["epoch"] for row in trained.curve] == [1, 2, 2]
    assert [row["task_loss"] for row in trained.curve] == [1, 4, 6]
    assert [row["kd_loss"] for row in trained.curve] == [10, 40, 60]
    assert listener.rows == list(trained.curve)


def test_progress_is_share_of_steps() -> None:
    _, listener = run(steps=4)
    assert [step.progress for step in listener.steps] == [0, 0.25, 0.5, 0.75]
    assert [step.number for step in listener.steps] == [0, 1, 2, 3]


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_raises_before_step_if_loss_is_not_finite(value: float) -> None:
    def objective(output: Tensor, step: Step) -> Losses:
        return Losses(output.sum() * (value if step.number == 4 else 1))

    module = network()
    with pytest.raises(TrainingError, match="step 5 of 6") as error:
        run(module, objective=objective)
    assert error.value.where == "epoch 2"
    assert torch.isfinite(flat_parameters(module)).all()


@pytest.mark.parametrize("clip", [0.0, 1.0])
def test_raises_before_step_if_gradient_is_not_finite(clip: float) -> None:
    def objective(output: Tensor, step: Step) -> Losses:
        return Losses((output * 0).sum().sqrt())  # 0, and its gradient is NaN

    module = network()
    with pytest.raises(TrainingError, match="gradient"):
        run(module, objective=objective, clip=clip)
    assert torch.isfinite(flat_parameters(module)).all()


def test_selects_the_best_and_of_equals_the_first() -> None:
    trained, _ = run(steps=6, every=1, evaluate=scores((1,), (3,), (2,), (3,), (0,), (1,)))
    assert trained.best.metrics == {"call": 1}
    assert len(trained.curve) == 6


def test_smaller_loss_breaks_ties() -> None:
    ranks = [(0.5, -1.0), (0.7, -0.9), (0.7, -0.3), (0.6, -0.1)]
    trained, _ = run(steps=4, every=1, evaluate=scores(*ranks))
    assert trained.selection.chosen.score == (0.7, -0.3)


def test_restores_training_mode_after_evaluation() -> None:
    modes = []

    def objective(output: Tensor, step: Step) -> Losses:
        modes.append(module.training)
        return labels(output, step)

    module = network()
    run(module, steps=4, every=1, objective=objective)
    assert modes == [True] * 4


def test_ema_evaluates_averaged_weights() -> None:
    seen = []

    def evaluate(module: nn.Module) -> Evaluation:
        seen.append(flat_parameters(module))
        return Evaluation(Measurement(0.0, 0.0), {}, module)

    _, listener = run(steps=4, every=1, evaluate=evaluate, ema=0.75)
    expected = listener.weights[0]
    for done, (weights, averaged) in enumerate(zip(listener.weights, seen, strict=True)):
        decay = min(0.75, (1 + done) / (10 + done))
        expected = decay * expected + (1 - decay) * weights
        torch.testing.assert_close(averaged, expected)


def test_ema_warmup_discounts_first_steps() -> None:
    share = math.prod(ema_decay(done, 0.999) for done in range(1, 800))
    assert share < 1e-6
    assert ema_decay(10**6, 0.999) == 0.999


@pytest.mark.parametrize(("clip", "moved"), [(0.5, 0.5), (0.0, 300.0)])
def test_clip_limits_gradient_norm(clip: float, moved: float) -> None:
    def objective(output: Tensor, step: Step) -> Losses:
        return Losses(100 * module.weight.sum() + output.sum() * 0)

    module = nn.Linear(3, 3)
    before = flat_parameters(module)
    run(
        module,
        steps=1,
        objective=objective,
        clip=clip,
        optimizer="sgd",
        momentum=0.0,
        lr=(1.0,),
        weight_decay=(0.0,),
    )
    assert (flat_parameters(module) - before).norm().item() == pytest.approx(moved, rel=1e-4)


@pytest.mark.parametrize(("steps", "warmup", "rise"), [(20, 0.2, 4), (20, 0.0, 0), (1, 0.9, 0), (3, 0.99, 2)])
def test_learning_rate_warms_up_linearly_then_follows_cosine(steps: int, warmup: float, rise: int) -> None:
    module, train_settings = nn.Linear(2, 2), Train(lr=(0.1,), warmup=warmup)
    optimizer = create_optimizer(module, train_settings)
    schedule = create_schedule(optimizer, steps, train_settings)
    rates = []
    for _ in range(steps):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    line = [0.1 * (step + 1) / (rise + 1) for step in range(rise)]
    cosine = [0.05 * (1 + math.cos(math.pi * step / (steps - rise))) for step in range(steps - rise)]
    assert rates == pytest.approx(line + cosine)
    assert optimizer.param_groups[0]["lr"] == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
def test_no_weight_decay_on_biases_and_norms(optimizer: str) -> None:
    module = network()
    module[0].weight.requires_grad_(False)
    created = create_optimizer(module, Train(optimizer=optimizer, lr=(0.1,), weight_decay=(0.3,)))  # type: ignore[arg-type]
    decay = {id(p): group["weight_decay"] for group in created.param_groups for p in group["params"]}
    assert decay == {
        id(p): 0.3 if name == "4.weight" else 0.0
        for name, p in module.named_parameters()
        if name != "0.weight"
    }


def test_raises_without_steps() -> None:
    with pytest.raises(TrainingError, match="no step"):
        run(steps=0)


def test_numbers_are_read_exactly() -> None:
    values = torch.tensor([0.1, math.inf, 1e-30, -3.0])
    assert read_numbers(*values) == values.tolist()
    assert math.isnan(read_numbers(torch.tensor(math.nan))[0])
