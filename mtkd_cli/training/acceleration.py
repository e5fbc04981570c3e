"""What makes a device fast without changing what is learnt: transfers, autocast, compilation, processes."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn

from mtkd_cli.errors import UsageError
from mtkd_cli.recipe.schema import Train


def number_format(settings: Train, device: torch.device) -> torch.dtype:
    """Return the format of the student's forward pass; ``auto``: bfloat16 where the device computes in it.

    Without hardware for it, bfloat16 is emulated: slower, and less exact for nothing.
    """
    if settings.precision == "auto":
        native = device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
        return torch.bfloat16 if native else torch.float32
    return torch.bfloat16 if settings.precision == "bf16" else torch.float32


def autocast(settings: Train, device: torch.device) -> AbstractContextManager[Any]:
    """Return the context of a forward pass. Weights, losses and optimizer stay in float32."""
    wanted = number_format(settings, device)
    return nullcontext() if wanted is torch.float32 else torch.autocast(device.type, wanted)


def synchronised(module: nn.Module, settings: Train, device: torch.device) -> nn.Module:
    """Return the module with BatchNorm over all processes, if the recipe asks for that.

    Raises:
        UsageError: not on a CUDA device, where alone torch has it.
    """
    if not settings.sync_batchnorm:
        return module
    if device.type != "cuda":
        raise UsageError(
            f"train.sync_batchnorm needs CUDA devices, this is {device.type}",
            where="train.sync_batchnorm",
            hint="leave it out: each process then takes the statistics of its own samples",
        )
    made: nn.Module = nn.SyncBatchNorm.convert_sync_batchnorm(module)  # type: ignore[no-untyped-call]
    return made


def compiled(module: nn.Module, settings: Train) -> Callable[[Tensor], Any]:
    """Return the module as it is called while training: by ``torch.compile`` if the recipe asks for that."""
    if not settings.compile:
        return module
    made: Callable[[Tensor], Any] = torch.compile(module)
    return made
