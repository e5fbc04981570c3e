"""The training loop: the same for fitted teachers, baselines and the distilled student."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.utils import clip_grad_norm_

from mtkd_cli import counter_rng
from mtkd_cli.distributed import group, signals
from mtkd_cli.distributed.gradients import sum_gradients
from mtkd_cli.errors import TrainingError, UsageError
from mtkd_cli.recipe.schema import Train
from mtkd_cli.training.acceleration import autocast, compiled
from mtkd_cli.training.checkpointing import Keeper
from mtkd_cli.training.optimizer import schedule_of
from mtkd_cli.training.selection import Selection, select, smoothed, window
from mtkd_cli.training.state import Evaluation as Evaluation
from mtkd_cli.training.state import Training

if TYPE_CHECKING:
    from mtkd_cli.training.training_data import TrainingData


@dataclass(frozen=True)
class Step:
    """Where training stands, and the samples of this step.

    Attributes:
        indices, views: this process's share of the batch; no views before the data has made them.
        place: which part of the batch that is; None: all of it.
        batch: samples of the whole batch; 0: as many as there are indices.
    """

    number: int
    epoch: int
    progress: float
    indices: NDArray[np.int64]
    views: Tensor = field(default_factory=lambda: torch.empty(0))
    place: slice | None = None
    batch: int = 0


@dataclass(frozen=True)
class Losses:
    """The parts of a loss. ``kd`` is None where no teacher is heard.

    Attributes:
        weights: how much each teacher counted, ``[K, B, *]``; None without teachers, or if combined.
        teachers: their names.
    """

    task: Tensor
    kd: Tensor | None = None
    kd_ratio: float = 0.0
    weights: Tensor | None = None
    teachers: tuple[str, ...] = ()

    @property
    def total(self) -> Tensor:
        """``(1 - kd_ratio) * task + kd_ratio * kd``."""
        return self.task if self.kd is None else (1 - self.kd_ratio) * self.task + self.kd_ratio * self.kd

    def shares(self) -> dict[str, float]:
        """Return the mean weight of each teacher where one is heard, in all processes, as ``weight/NAME``."""
        if self.weights is None:
            return {}
        sums = group.all_reduce_sum(self.weights.detach().double().flatten(1).sum(dim=1))
        means = (sums / sums.sum().clamp(min=1e-12)).tolist()
        return {f"weight/{name}": mean for name, mean in zip(self.teachers, means, strict=True)}


@dataclass(frozen=True)
class Trained:
    """The evaluations that are kept of a training, and the rows of its curve."""

    selection: Selection
    curve: tuple[dict[str, float], ...]

    @property
    def best(self) -> Evaluation:
        """The chosen evaluation."""
        evaluation: Evaluation = self.selection.chosen.evaluation
        return evaluation


class Watcher(Protocol):
    """Is told of each step and each evaluation."""

    def began(self, done: int, curve: list[dict[str, float]]) -> None:
        """A training begins, or goes on after some steps, with the rows that its curve then has."""

    def stepped(self, step: Step, losses: Losses) -> None:
        """One optimizer step was made."""

    def evaluated(self, row: dict[str, float]) -> None:
        """One row of the curve is complete."""


def train(
    module: nn.Module,
    data: TrainingData,
    objective: Callable[[Tensor, Step], Losses],
    evaluate: Callable[[nn.Module], Evaluation],
    settings: Train,
    steps: int,
    evaluate_every: int,
    watcher: Watcher,
    keeper: Keeper | None = None,
) -> Trained:
    """Train ``module`` in place and return the best of its evaluations, see `selection`.

    Several processes each see their share of every batch, and make the same step.

    Args:
        module: views to outputs; the same in every process.
        data: the training samples.
        objective: the losses of the module's output at a step: this process's share of them.
        evaluate: validates a module without changing it.
        settings: optimizer, batch size, seed; with one learning rate and one weight decay.
        steps: optimizer steps in all.
        evaluate_every: steps between evaluations; the last step is always evaluated.
        watcher: told of the progress.
        keeper: keeps checkpoints; the training goes on from the newest one.

    Raises:
        TrainingError: a loss that is not finite; the step and the epoch are named.
        UsageError: too few samples in a batch for so many processes.
        EngineError: another process is gone.
        Interrupted: a signal came, to any process; the step was finished and kept.
    """
    refuse_small_batches(len(data), settings.batch_size)
    training = Training.of(module, settings)
    if keeper is not None:
        keeper.restore(training)
    watcher.began(training.done, training.curve)
    optimizer = training.optimizer
    schedule = schedule_of(optimizer, steps, settings, training.done)
    batches = order(len(data), settings.batch_size, settings.seed, training.done)
    module.train()
    forward = compiled(module, settings)
    with signals.defer() as stopping:
        for number, (epoch, indices) in zip(range(training.done, steps), batches, strict=False):
            place = group.own_slice(len(indices))
            mine = indices[place]
            step = Step(number, epoch, number / steps, mine, place=place, batch=len(indices))
            step = replace(step, views=data.views(step))
            counter_rng.seed_torch("step", settings.seed, number, *([group.rank()] if group.rank() else []))
            with autocast(settings, step.views.device):
                output = forward(step.views)
            losses = objective(output, step)
            optimizer.zero_grad()
            losses.total.backward()  # type: ignore[no-untyped-call]
            losses, stop = _of_everyone(module, losses, stopping())
            norm = clip_grad_norm_(module.parameters(), settings.clip or math.inf)
            _refuse_non_finite(losses.total, norm, step, steps)
            optimizer.step()
            schedule.step()
            if training.averaged is not None:
                training.averaged.update_parameters(module)
            training.done += 1
            training.sums += losses.task.item(), 0.0 if losses.kd is None else losses.kd.item()
            watcher.stepped(step, losses)
            evaluated = training.done % evaluate_every == 0 or training.done == steps
            if evaluated:
                evaluation = _evaluate(training, evaluate, epoch, losses, watcher)
                _select(training, evaluation, steps, evaluate_every)
            if keeper is not None:
                keeper.stepped(training, evaluated, last=training.done == steps or stop)
            if stop:
                raise signals.Interrupted
    if training.selection is None:
        raise TrainingError("no step was trained", hint="raise train.epochs")
    if keeper is not None:
        keeper.finished()
    return Trained(training.selection, tuple(training.curve))


def _of_everyone(module: nn.Module, losses: Losses, stop: bool) -> tuple[Losses, bool]:
    """Sum gradients and losses over the processes; return the losses, and whether any is to stop."""
    kd = 0.0 if losses.kd is None else losses.kd.item()
    task, kd, stops = sum_gradients(module, (losses.task.item(), kd, float(stop)))
    return replace(
        losses, task=torch.tensor(task), kd=None if losses.kd is None else torch.tensor(kd)
    ), stops > 0


def _evaluate(
    training: Training,
    evaluate: Callable[[nn.Module], Evaluation],
    epoch: int,
    losses: Losses,
    watcher: Watcher,
) -> Evaluation:
    """Evaluate, and add a row to the curve."""
    evaluation = evaluate(training.evaluated)
    training.module.train()
    task_loss, kd_loss = training.sums / (
        training.done - (training.curve[-1]["step"] if training.curve else 0)
    )
    training.sums[:] = 0
    row = {
        "step": training.done,
        "epoch": epoch + 1,
        "lr": training.optimizer.param_groups[0]["lr"],
        "task_loss": float(task_loss),
        "kd_loss": float(kd_loss),
        **evaluation.metrics,
        **losses.shares(),
    }
    training.curve.append(row)
    watcher.evaluated(row)
    return evaluation


def _select(training: Training, evaluation: Evaluation, steps: int, evaluate_every: int) -> None:
    """Keep the evaluation if the selection does; the first ones only fill the window."""
    width = window(math.ceil(steps / evaluate_every))
    training.recent = [*training.recent, evaluation.measurement][-width:]
    if len(training.recent) < width and training.done < steps:
        return
    new = select(smoothed(training.done, training.recent, evaluation))
    training.selection = new if training.selection is None else training.selection.including(new)


def _refuse_non_finite(loss: Tensor, norm: Tensor, step: Step, steps: int) -> None:
    """Stop before the weights are spoilt."""
    if torch.isfinite(norm) and torch.isfinite(loss):
        return
    what = f"the gradient is {norm.item()}" if torch.isfinite(loss) else f"the loss is {loss.item()}"
    raise TrainingError(
        f"{what} at step {step.number + 1} of {steps}",
        where=f"epoch {step.epoch + 1}",
        hint="lower train.lr, or set train.clip",
    )


def order(samples: int, batch_size: int, seed: int, done: int = 0) -> Iterator[tuple[int, NDArray[np.int64]]]:
    """Yield (epoch, indices) for ever, from the step after ``done`` on.

    A last batch of fewer than two a process joins the one before: BatchNorm needs two.
    """
    each = steps_per_epoch(samples, batch_size)
    epoch, first = divmod(done, each)
    while True:
        shuffled = counter_rng.permutation(samples, "order", seed, epoch)
        for number in range(first, each):
            yield (
                epoch,
                shuffled[number * batch_size : None if number + 1 == each else (number + 1) * batch_size],
            )
        epoch, first = epoch + 1, 0


def steps_per_epoch(samples: int, batch_size: int) -> int:
    """Return the number of batches of one pass."""
    full = math.ceil(samples / batch_size)
    return full - 1 if full > 1 and 0 < samples % batch_size < group.LEAST * group.size() else full


def refuse_small_batches(samples: int, batch_size: int) -> None:
    """Raise if not every process can have a share of every batch.

    Raises:
        UsageError: which says how many samples there are, and how many are needed.
    """
    there, least = min(samples, batch_size), group.LEAST * group.size()
    if group.size() > 1 and there < least:
        raise UsageError(
            f"{group.size()} processes need {least} samples in a batch, there are {there}",
            where="--processes",
            hint="start fewer processes, raise train.batch_size, or give more labels",
        )
