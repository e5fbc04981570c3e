"""Create the optimizer and its learning rate schedule, and measure the gradient."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.utils import clip_grads_with_norm_, get_total_norm
from torch.optim import SGD, AdamW, Optimizer

from mtkd_cli.recipe.schema import Train


def create_optimizer(module: nn.Module, settings: Train) -> Optimizer:
    """Return the optimizer, without weight decay on biases and norms (one-dimensional parameters)."""
    trainable = [p for p in module.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in trainable if p.dim() > 1], "weight_decay": settings.weight_decay[0]},
        {"params": [p for p in trainable if p.dim() <= 1], "weight_decay": 0.0},
    ]
    if settings.optimizer == "sgd":
        return SGD(groups, lr=settings.lr[0], momentum=settings.momentum, nesterov=settings.momentum > 0)
    return AdamW(groups, lr=settings.lr[0])


@dataclass
class Schedule:
    """The learning rates of all groups: their peak, multiplied by a factor that depends on the step only.

    So it has no state to save. It does what ``LambdaLR`` does, in a few operations.

    Attributes:
        optimizer: optimizer whose learning rates are set.
        factor: function from the number of completed steps to the factor.
        done: number of completed steps.
    """

    optimizer: Optimizer
    factor: Callable[[int], float]
    done: int

    def __post_init__(self) -> None:
        self._peaks = [group["lr"] for group in self.optimizer.param_groups]
        self._apply()

    def step(self) -> None:
        """Set the learning rates of the next step."""
        self.done += 1
        self._apply()

    def _apply(self) -> None:
        factor = self.factor(self.done)
        for group, peak in zip(self.optimizer.param_groups, self._peaks, strict=True):
            group["lr"] = peak * factor


def create_schedule(optimizer: Optimizer, steps: int, settings: Train, done: int = 0) -> Schedule:
    """Return a linear warm-up over the share ``settings.warmup`` of the steps, followed by a cosine to 0.

    Args:
        optimizer: optimizer with the peak learning rate.
        steps: total number of steps.
        settings: settings with ``warmup``.
        done: number of completed steps.
    """
    warmup_steps = max(0, min(round(settings.warmup * steps), steps - 1))

    def factor(step: int) -> float:
        if step < warmup_steps:
            return (step + 1) / (warmup_steps + 1)
        return 0.5 * (1 + math.cos(math.pi * (step - warmup_steps) / max(1, steps - warmup_steps)))

    return Schedule(optimizer, factor, done)


def gradient_norm(parameters: Sequence[nn.Parameter], clip: float) -> Tensor:
    """Return the norm of all gradients; clip them to ``clip`` if it is not 0.

    Args:
        parameters: the parameters; those without a gradient are skipped.
        clip: largest norm; 0: no limit.
    """
    gradients = [p.grad for p in parameters if p.grad is not None]
    on_cpu = all(each.device.type == "cpu" for each in gradients)
    # the numbers of torch's function, which takes longer to start than small gradients take
    norm = _norm_of_norms(gradients) if gradients and on_cpu else get_total_norm(gradients)
    # on a GPU, comparing the norm would wait for it
    if clip and not (on_cpu and norm <= clip):
        clip_grads_with_norm_(parameters, clip, norm)
    return norm


def _norm_of_norms(tensors: Sequence[Tensor]) -> Tensor:
    norms = [torch.linalg.vector_norm(each) for each in tensors]
    norm: Tensor = torch.linalg.vector_norm(torch.stack(norms))
    return norm
