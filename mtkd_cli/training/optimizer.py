"""Create the optimizer and its learning rate schedule."""

from __future__ import annotations

import math

from torch import nn
from torch.optim import SGD, AdamW, Optimizer
from torch.optim.lr_scheduler import LambdaLR, LRScheduler

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


def create_schedule(optimizer: Optimizer, steps: int, settings: Train, done: int = 0) -> LRScheduler:
    """Return a linear warm-up over the share ``settings.warmup`` of the steps, followed by a cosine to 0.

    The rate depends on the step only, so a schedule has no state to save.

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

    for group in optimizer.param_groups:
        group["initial_lr"] = group["lr"]
    return LambdaLR(optimizer, factor, last_epoch=done - 1)
