"""Load trained weights of torchvision from torch's cache or the network."""

from __future__ import annotations

import pickle
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import nn

from mtkd_cli.errors import DataError, first_line
from mtkd_teachers.safe_torch_load import tensors_only

TIMEOUT = 20.0
"""Seconds without a response after which a download fails."""


def load_trained(name: str, weights: Any) -> nn.Module:
    """Return the model with its trained weights.

    Args:
        name: name of the torchvision model.
        weights: entry of the model's weights enum.

    Raises:
        DataError: the weights are damaged, or neither cached nor downloadable.

    """
    from torchvision import models

    file = Path(torch.hub.get_dir()) / "checkpoints" / weights.url.rpartition("/")[2]
    try:
        with _socket_timeout(), tensors_only():
            module: nn.Module = models.get_model(name, weights=weights)
    except pickle.UnpicklingError as error:
        raise DataError(
            f"the weights of {name} contain more than tensors, or are damaged; no code was run",
            where=str(file),
            hint="remove the file, so that it is downloaded again",
        ) from error
    except (OSError, RuntimeError, EOFError) as error:
        damaged = file.exists()
        raise DataError(
            f"the weights of {name} cannot be {'read' if damaged else 'downloaded'}: {first_line(error)}",
            where=str(file) if damaged else f"torchvision:{name}",
            hint="remove the file, so that it is downloaded again"
            if damaged
            else f"go online once, or put the file {weights.url} into {file.parent}",
        ) from error
    return module


@contextmanager
def _socket_timeout() -> Iterator[None]:
    """Set the default timeout of sockets to `TIMEOUT`."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(TIMEOUT)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)
