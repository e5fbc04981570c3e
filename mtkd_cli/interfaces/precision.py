"""Number formats of outputs: half formats are widened, double precision is kept."""

from __future__ import annotations

import torch
from torch import Tensor


def at_least_float32(output: Tensor) -> Tensor:
    """Return a tensor in float32, in float64 if it is."""
    return output if output.dtype == torch.float64 else output.float()
