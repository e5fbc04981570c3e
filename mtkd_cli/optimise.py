"""The optimizer and its schedule, from torch."""

from __future__ import annotations

from torch import nn
from torch.optim import SGD, AdamW, Optimizer
from torch.optim.lr_scheduler import CosineAnnealingLR, LinearLR, LRScheduler, SequentialLR

from mtkd_cli.recipe import Train


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


def schedule_of(optimizer: Optimizer, steps: int, settings: Train) -> LRScheduler:
    """Return a linear warm-up over ``settings.warmup`` of the steps, then a cosine to 0."""
    rise = max(0, min(round(settings.warmup * steps), steps - 1))
    cosine = CosineAnnealingLR(optimizer, T_max=max(1, steps - rise))
    if not rise:
        return cosine
    return SequentialLR(
        optimizer, [LinearLR(optimizer, 1 / (rise + 1), total_iters=rise), cosine], milestones=[rise]
    )
