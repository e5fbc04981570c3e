"""The optimizer and its schedule, from torch."""

from __future__ import annotations

import math

from torch import nn
from torch.optim import SGD, AdamW, Optimizer
from torch.optim.lr_scheduler import LambdaLR, LRScheduler

from mtkd_cli.recipe.schema import Train


def optimizer_of(module: nn.Module, settings: Train) -> Optimizer:
    """Return the optimizer; biases and norms (one-dimensional parameters) do not decay."""
    trained = [p for p in module.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in trained if p.dim() > 1], "weight_decay": settings.weight_decay[0]},
        {"params": [p for p in trained if p.dim() <= 1], "weight_decay": 0.0},
    ]
    if settings.optimizer == "sgd":
        return SGD(groups, lr=settings.lr[0], momentum=settings.momentum, nesterov=settings.momentum > 0)
    return AdamW(groups, lr=settings.lr[0])


def schedule_of(optimizer: Optimizer, steps: int, settings: Train, done: int = 0) -> LRScheduler:
    """Return a linear warm-up over ``settings.warmup`` of the steps, then a cosine to 0.

    The rate is a function of the step alone, so a schedule has nothing to save.

    Args:
        optimizer: with the peak rate.
        steps: in all.
        settings: for ``warmup``.
        done: steps that were made before.
    """
    rise = max(0, min(round(settings.warmup * steps), steps - 1))

    def share(step: int) -> float:
        if step < rise:
            return (step + 1) / (rise + 1)
        return 0.5 * (1 + math.cos(math.pi * (step - rise) / max(1, steps - rise)))

    for group in optimizer.param_groups:
        group["initial_lr"] = group["lr"]
    return LambdaLR(optimizer, share, last_epoch=done - 1)
