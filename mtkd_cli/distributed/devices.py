"""Choose a process's device, name it, and copy tensors to it."""

from __future__ import annotations

import platform
import re

import torch
from torch import Tensor

from mtkd_cli.errors import UsageError, first_line


def to_device(tensor: Tensor, device: torch.device | str) -> Tensor:
    """Return a tensor on a device; a CUDA device takes it while the CPU goes on."""
    if torch.device(device).type == "cuda" and tensor.device.type == "cpu":
        return tensor.pin_memory().to(device, non_blocking=True)
    return tensor.to(device)


def resolve_device(name: str) -> torch.device:
    """Return the device that ``--device`` names.

    Args:
        name: ``cpu``, ``cuda``, ``cuda:N``, or ``auto`` for CUDA if available, else the CPU.

    Raises:
        UsageError: the name is unknown, or this machine has no such device.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if not re.fullmatch(r"cpu|cuda(:[0-9]+)?", name):
        raise UsageError(f"unknown device {name!r}", where="--device", hint="use auto, cpu or cuda")
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise UsageError(
            f"device {name!r} is not available: {first_line(error)}",
            where="--device",
            hint="use auto, cpu or cuda",
        ) from error
    return device


def device_name(device: torch.device) -> str:
    """Return the device's model name, for the manifest."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else platform.machine()
