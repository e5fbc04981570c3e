"""Faster training on a device: autocast, compilation and synchronized BatchNorm."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn

from mtkd_cli.errors import UsageError
from mtkd_cli.recipe.schema import Train


def number_format(settings: Train, device: torch.device) -> torch.dtype:
    """Return the dtype of the forward pass; ``auto`` is bfloat16 on devices with native support.

    Without native support bfloat16 is emulated: slower and less exact.
    """
    if settings.precision == "auto":
        native = device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
        return torch.bfloat16 if native else torch.float32
    return torch.bfloat16 if settings.precision == "bf16" else torch.float32


def autocast(settings: Train, device: torch.device) -> AbstractContextManager[Any]:
    """Return the autocast context of a forward pass. Weights, losses and optimizer stay in float32."""
    dtype = number_format(settings, device)
    return nullcontext() if dtype is torch.float32 else torch.autocast(device.type, dtype)


def convert_sync_batchnorm_if_requested(
    module: nn.Module, settings: Train, device: torch.device
) -> nn.Module:
    """Return the module with synchronized BatchNorm if ``train.sync_batchnorm`` is set.

    Raises:
        UsageError: the device is not a CUDA device; torch supports it on CUDA only.
    """
    if not settings.sync_batchnorm:
        return module
    if device.type != "cuda":
        raise UsageError(
            f"train.sync_batchnorm requires CUDA; the device is {device.type}",
            where="train.sync_batchnorm",
            hint="remove it: each process then uses the statistics of its own samples",
        )
    converted: nn.Module = nn.SyncBatchNorm.convert_sync_batchnorm(module)  # type: ignore[no-untyped-call]
    return converted


def compile_if_requested(module: nn.Module, settings: Train) -> Callable[[Tensor], Any]:
    """Return the compiled module if ``train.compile`` is set, else the module."""
    if not settings.compile:
        return module
    compiled: Callable[[Tensor], Any] = torch.compile(module)
    return compiled
