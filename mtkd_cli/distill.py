"""The training loop: one for teachers that are fitted, the student alone and the distilled student."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.utils import clip_grad_norm_
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from mtkd_cli import counters
from mtkd_cli.errors import TrainingError
from mtkd_cli.optimise import optimizer_of, schedule_of
from mtkd_cli.recipe import Train


@dataclass(frozen=True)
class Step:
    """Where training stands, and the samples of this step."""

    number: int
    epoch: int
    progress: float
    indices: NDArray[np.int64]
    views: Tensor


@dataclass(frozen=True)
class Losses:
    """The parts of a loss. ``kd`` is None where no teacher is heard."""

    task: Tensor
    kd: Tensor | None = None
    kd_ratio: float = 0.0

    @property
    def total(self) -> Tensor:
        """``(1 - kd_ratio) * task + kd_ratio * kd``."""
        return self.task if self.kd is None else (1 - self.kd_ratio) * self.task + self.kd_ratio * self.kd


@dataclass(frozen=True)
class Evaluation:
    """A validation: ``rank`` orders them (larger is better), ``module`` is what was evaluated."""

    rank: tuple[float, ...]
    metrics: dict[str, float]
    module: nn.Module


@dataclass(frozen=True)
class Trained:
    """The best evaluation of a training, and the rows of its curve."""

    best: Evaluation
    curve: tuple[dict[str, float], ...]


class Watcher(Protocol):
    """Is told of each step and each evaluation."""

    def stepped(self, step: Step, losses: Losses) -> None:
        """One optimizer step was made."""

    def evaluated(self, row: dict[str, float]) -> None:
        """One row of the curve is complete."""


def train(
    module: nn.Module,
    samples: int,
    views: Callable[[NDArray[np.int64], int], Tensor],
    objective: Callable[[Tensor, Step], Losses],
    evaluate: Callable[[nn.Module], Evaluation],
    settings: Train,
    steps: int,
    evaluate_every: int,
    watcher: Watcher,
) -> Trained:
    """Train ``module`` in place and return the best of its evaluations.

    Args:
        module: views to outputs.
        samples: number of training samples N.
        views: the views of the samples at some indices, for an epoch.
        objective: the losses of the module's output at a step.
        evaluate: validates a module without changing it.
        settings: optimizer, batch size, seed; with one learning rate and one weight decay.
        steps: optimizer steps in all.
        evaluate_every: steps between evaluations; the last step is always evaluated.
        watcher: told of the progress.

    Raises:
        TrainingError: a loss that is not finite; the step and the epoch are named.
    """
    optimizer = optimizer_of(module, settings)
    schedule = schedule_of(optimizer, steps, settings)
    averaged = _averaged(module, settings.ema) if settings.ema else None
    best: Evaluation | None = None
    curve: list[dict[str, float]] = []
    sums = np.zeros(2)
    module.train()
    for number, (epoch, indices) in zip(
        range(steps), order(samples, settings.batch_size, settings.seed), strict=False
    ):
        step = Step(number, epoch, number / steps, indices, views(indices, epoch))
        counters.seed_torch("step", settings.seed, number)
        losses = objective(module(step.views), step)
        optimizer.zero_grad()
        losses.total.backward()  # type: ignore[no-untyped-call]
        norm = clip_grad_norm_(module.parameters(), settings.clip or math.inf)
        _refuse_non_finite(losses.total, norm, step, steps)
        optimizer.step()
        schedule.step()
        if averaged is not None:
            averaged.update_parameters(module)
        watcher.stepped(step, losses)
        sums += losses.task.item(), 0.0 if losses.kd is None else losses.kd.item()

        done = number + 1
        if done % evaluate_every and done != steps:
            continue
        evaluation = evaluate(module if averaged is None else averaged.module)
        module.train()
        since = done - (curve[-1]["step"] if curve else 0)
        task_loss, kd_loss = sums / since
        row = {
            "step": done,
            "epoch": epoch + 1,
            "lr": optimizer.param_groups[0]["lr"],
            "task_loss": task_loss,
            "kd_loss": kd_loss,
            **evaluation.metrics,
        }
        sums[:] = 0
        curve.append(row)
        watcher.evaluated(row)
        if best is None or evaluation.rank > best.rank:
            best = evaluation
    if best is None:
        raise TrainingError("no step was trained", hint="raise train.epochs")
    return Trained(best, tuple(curve))


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


def _averaged(module: nn.Module, decay: float) -> AveragedModel:
    return AveragedModel(module, multi_avg_fn=get_ema_multi_avg_fn(decay))  # type: ignore[no-untyped-call]


def order(samples: int, batch_size: int, seed: int) -> Iterator[tuple[int, NDArray[np.int64]]]:
    """Yield (epoch, indices) for ever. A last batch of one joins the one before: BatchNorm needs two."""
    epoch = 0
    while True:
        shuffled = counters.permutation(samples, "order", seed, epoch)
        for number in range(steps_per_epoch(samples, batch_size)):
            last = number + 1 == steps_per_epoch(samples, batch_size)
            yield epoch, shuffled[number * batch_size : None if last else (number + 1) * batch_size]
        epoch += 1


def steps_per_epoch(samples: int, batch_size: int) -> int:
    """Return the number of batches of one pass."""
    full = math.ceil(samples / batch_size)
    return full - 1 if full > 1 and samples % batch_size == 1 else full
