"""The training loop of fitted teachers, baselines and the distilled student."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from mtkd_cli import counter_rng
from mtkd_cli.distributed import group, signals
from mtkd_cli.distributed.gradients import sum_gradients
from mtkd_cli.errors import TrainingError, UsageError
from mtkd_cli.recipe.schema import Train
from mtkd_cli.training.acceleration import autocast, compile_if_requested
from mtkd_cli.training.checkpointing import Checkpointer
from mtkd_cli.training.optimizer import create_schedule, gradient_norm
from mtkd_cli.training.selection import Selection, select, smooth, window_size
from mtkd_cli.training.state import Evaluation as Evaluation
from mtkd_cli.training.state import Training

if TYPE_CHECKING:
    from mtkd_cli.training.training_data import TrainingData


@dataclass(frozen=True)
class Step:
    """One optimizer step and its samples.

    Attributes:
        number: index of the step, from 0.
        epoch: index of the epoch, from 0.
        progress: share of all steps before this one, from 0 to 1.
        indices: samples of this process, ``[B]``.
        views: their views, ``[B, C, H, W]``; empty until the data creates them.
        own_slice: this process's slice of the whole batch; None: the whole batch.
        batch: number of samples in the whole batch; 0: as many as indices.
    """

    number: int
    epoch: int
    progress: float
    indices: NDArray[np.int64]
    views: Tensor = field(default_factory=lambda: torch.empty(0))
    own_slice: slice | None = None
    batch: int = 0


@dataclass(frozen=True)
class Losses:
    """The terms of the loss of one step.

    Attributes:
        task: mean loss on the labels.
        kd: mean distillation loss; None without teachers.
        kd_ratio: weight of ``kd``, from 0 to 1.
        weights: weights of the teachers, ``[K, B, *]``; None without teachers, or with a combined target.
        teachers: names of the K teachers.
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
        """Return the mean weight of each teacher over all processes, as ``weight/NAME``."""
        if self.weights is None:
            return {}
        # [K, B, *] -> [K]
        sums = group.all_reduce_sum(self.weights.detach().double().flatten(1).sum(dim=1))
        means = (sums / sums.sum().clamp(min=1e-12)).tolist()
        return {f"weight/{name}": mean for name, mean in zip(self.teachers, means, strict=True)}


@dataclass(frozen=True)
class Trained:
    """The selected evaluations of a training, and the rows of its curve."""

    selection: Selection
    curve: tuple[dict[str, float], ...]

    @property
    def best(self) -> Evaluation:
        """The chosen evaluation."""
        evaluation: Evaluation = self.selection.chosen.evaluation
        return evaluation


class TrainingListener(Protocol):
    """Receives the events of a training."""

    def on_start(self, done: int, curve: list[dict[str, float]]) -> None:
        """Called when a training starts, or resumes after ``done`` steps with the rows of its curve."""

    def on_step(self, step: Step, losses: Losses) -> None:
        """Called after each optimizer step."""

    def on_evaluation(self, row: dict[str, float]) -> None:
        """Called after each evaluation, with its row of the curve."""


def train(
    module: nn.Module,
    data: TrainingData,
    objective: Callable[[Tensor, Step], Losses],
    evaluate: Callable[[nn.Module], Evaluation],
    settings: Train,
    steps: int,
    evaluate_every: int,
    listener: TrainingListener,
    checkpointer: Checkpointer | None = None,
) -> Trained:
    """Train ``module`` in place and return the selected evaluation, see `selection`.

    Several processes each compute their share of every batch, and take the same step.

    Args:
        module: module from views to outputs; identical in every process.
        data: training samples.
        objective: function from the module's output and the step to the losses of this process's share.
        evaluate: function that validates a module without changing it.
        settings: optimizer, batch size and seed; with one learning rate and one weight decay.
        steps: total number of optimizer steps.
        evaluate_every: steps between evaluations; the last step is always evaluated.
        listener: receiver of progress events.
        checkpointer: writer of checkpoints; the training resumes from the newest one.

    Raises:
        TrainingError: the loss or the gradient is not finite; the message names step and epoch.
        UsageError: a batch has too few samples for the number of processes.
        EngineError: another process died.
        Interrupted: any process received a signal; the current step is finished and saved.
    """
    require_minimum_batch(len(data), settings.batch_size)
    training = Training.start(module, settings)
    if checkpointer is not None:
        checkpointer.restore(training)
    listener.on_start(training.done, training.curve)
    optimizer = training.optimizer
    schedule = create_schedule(optimizer, steps, settings, training.done)
    batches = shuffled_batches(len(data), settings.batch_size, settings.seed, training.done)
    parameters = list(module.parameters())
    module.train()
    forward = compile_if_requested(module, settings)
    with signals.defer() as stopping:
        planned = zip(range(training.done, steps), batches, strict=False)
        own_steps = (_own_step(number, steps, epoch, indices) for number, (epoch, indices) in planned)
        for step in data.with_views(own_steps):
            number, epoch = step.number, step.epoch
            counter_rng.seed_torch("step", settings.seed, number, *([group.rank()] if group.rank() else []))
            with autocast(settings, step.views.device):
                output = forward(step.views)
            losses = objective(output, step)
            for parameter in parameters:
                parameter.grad = None
            total = losses.total
            total.backward()  # type: ignore[no-untyped-call]
            total, losses, stop = _reduce(module, total, losses, stopping())
            norm = gradient_norm(parameters, settings.clip)
            kd = () if losses.kd is None else (losses.kd,)
            loss, size, *parts = read_numbers(total, norm, losses.task, *kd)
            _raise_if_nonfinite(loss, size, step, steps)
            optimizer.step()
            schedule.step()
            if training.averaged is not None:
                training.averaged.update_parameters(module)
            training.done += 1
            training.loss_sums += parts if kd else (*parts, 0.0)
            listener.on_step(step, losses)
            evaluated = training.done % evaluate_every == 0 or training.done == steps
            if evaluated:
                evaluation = _evaluate(training, evaluate, epoch, losses, listener)
                _select(training, evaluation, steps, evaluate_every)
            if checkpointer is not None:
                checkpointer.save_if_due(training, evaluated, last=training.done == steps or stop)
            if stop:
                raise signals.Interrupted
    if training.selection is None:
        raise TrainingError("no step was trained", hint="increase train.epochs")
    if checkpointer is not None:
        checkpointer.keep_last()
    return Trained(training.selection, tuple(training.curve))


def _own_step(number: int, steps: int, epoch: int, indices: NDArray[np.int64]) -> Step:
    """Return a step with this process's share of a batch."""
    own_slice = group.own_slice(len(indices))
    return Step(number, epoch, number / steps, indices[own_slice], own_slice=own_slice, batch=len(indices))


def _reduce(module: nn.Module, total: Tensor, losses: Losses, stop: bool) -> tuple[Tensor, Losses, bool]:
    """Sum gradients and losses over all processes; return total, losses, and whether any must stop."""
    own_kd = None if losses.kd is None else losses.kd.detach().float()
    losses = replace(losses, task=losses.task.detach().float(), kd=own_kd)
    if group.size() == 1:
        return total.detach(), losses, stop
    task, kd, stops = sum_gradients(
        module, (losses.task.item(), 0.0 if own_kd is None else own_kd.item(), float(stop))
    )
    losses = replace(losses, task=torch.tensor(task), kd=None if own_kd is None else torch.tensor(kd))
    return losses.total, losses, stops > 0


def _evaluate(
    training: Training,
    evaluate: Callable[[nn.Module], Evaluation],
    epoch: int,
    losses: Losses,
    listener: TrainingListener,
) -> Evaluation:
    """Evaluate the training and append a row to its curve."""
    evaluation = evaluate(training.module_to_evaluate)
    training.module.train()
    task_loss, kd_loss = training.loss_sums / (
        training.done - (training.curve[-1]["step"] if training.curve else 0)
    )
    training.loss_sums[:] = 0
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
    listener.on_evaluation(row)
    return evaluation


def _select(training: Training, evaluation: Evaluation, steps: int, evaluate_every: int) -> None:
    """Add the evaluation to the selection, once the smoothing window is full."""
    width = window_size(math.ceil(steps / evaluate_every))
    training.recent = [*training.recent, evaluation.measurement][-width:]
    if len(training.recent) < width and training.done < steps:
        return
    new = select(smooth(training.done, training.recent, evaluation))
    training.selection = new if training.selection is None else training.selection.including(new)


def read_numbers(*scalars: Tensor) -> list[float]:
    """Return the values of 0-dimensional tensors; a GPU is waited for once."""
    if scalars[0].device.type == "cpu":
        return [scalar.item() for scalar in scalars]
    device = scalars[0].device
    found: list[float] = torch.stack([scalar.to(device, torch.float32) for scalar in scalars]).tolist()
    return found


def _raise_if_nonfinite(loss: float, norm: float, step: Step, steps: int) -> None:
    """Raise a TrainingError if the loss or the norm of the gradient is not finite, before the step."""
    if math.isfinite(norm) and math.isfinite(loss):
        return
    what = f"the gradient is {norm}" if math.isfinite(loss) else f"the loss is {loss}"
    raise TrainingError(
        f"{what} at step {step.number + 1} of {steps}",
        where=f"epoch {step.epoch + 1}",
        hint="lower train.lr, or set train.clip",
    )


def shuffled_batches(
    samples: int, batch_size: int, seed: int, done: int = 0
) -> Iterator[tuple[int, NDArray[np.int64]]]:
    """Yield (epoch, indices) without end, starting after ``done`` steps.

    A last batch with fewer than two samples per process joins the one before: BatchNorm needs two. The
    processes are those that the run began with, so that a run keeps its batches.
    """
    count = steps_per_epoch(samples, batch_size)
    epoch, first = divmod(done, count)
    while True:
        shuffled = counter_rng.permutation(samples, "order", seed, epoch)
        for number in range(first, count):
            yield (
                epoch,
                shuffled[number * batch_size : None if number + 1 == count else (number + 1) * batch_size],
            )
        epoch, first = epoch + 1, 0


def steps_per_epoch(samples: int, batch_size: int) -> int:
    """Return the number of batches in one epoch."""
    full = math.ceil(samples / batch_size)
    return full - 1 if full > 1 and 0 < samples % batch_size < group.LEAST * group.began_size() else full


def require_minimum_batch(samples: int, batch_size: int, processes: int | None = None) -> None:
    """Raise if a batch is too small to be split over all processes.

    Args:
        samples: number of training samples.
        batch_size: number of samples in a batch.
        processes: number of processes; None: those of this run.

    Raises:
        UsageError: the batch has fewer than `group.LEAST` samples per process.
    """
    processes = group.size() if processes is None else processes
    available, needed = _smallest_batch(samples, batch_size), group.LEAST * processes
    if processes > 1 and available < needed:
        raise UsageError(
            f"{processes} processes need at least {needed} samples per batch, but it has {available}",
            where="--processes",
            hint="start fewer processes, increase train.batch_size, or add labels",
        )


def _smallest_batch(samples: int, batch_size: int) -> int:
    """Return the size of the smallest batch of an epoch."""
    last = samples - (steps_per_epoch(samples, batch_size) - 1) * batch_size
    return min(samples, batch_size, last)
