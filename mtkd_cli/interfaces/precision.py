"""Number formats of outputs: half formats are widened, double precision is kept."""

from __future__ import annotations

import torch
from torch import Tensor


def at_least_float32(output: Tensor) -> Tensor:
    """Return a float64 tensor unchanged, any other one as float32."""
    return output if output.dtype == torch.float64 else output.float()
