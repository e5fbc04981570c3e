"""Trained weights of torchvision, from torch's cache or the network."""

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
"""Seconds without an answer after which a download is given up."""


def trained(name: str, best: Any) -> nn.Module:
    """Return the model with its default weights.

    Raises:
        DataError: they are neither in torch's cache nor to be had; says which file goes where.

    """
    from torchvision import models

    file = Path(torch.hub.get_dir()) / "checkpoints" / best.url.rpartition("/")[2]
    try:
        with _impatient(), tensors_only():
            module: nn.Module = models.get_model(name, weights=best)
    except pickle.UnpicklingError as error:
        raise DataError(
            f"the weights of {name} hold more than tensors, or are damaged; nothing was run",
            where=str(file),
            hint="remove that file, so that it is fetched again",
        ) from error
    except (OSError, RuntimeError, EOFError) as error:
        damaged = file.exists()
        raise DataError(
            f"the weights of {name} cannot be {'read' if damaged else 'had'}: {first_line(error)}",
            where=str(file) if damaged else f"torchvision:{name}",
            hint="remove that file, so that it is fetched again"
            if damaged
            else f"go online once, or put the file {best.url} into {file.parent}",
        ) from error
    return module


@contextmanager
def _impatient() -> Iterator[None]:
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(TIMEOUT)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)
