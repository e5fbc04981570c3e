"""Channel-wise distillation of class maps. B samples, C classes."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor


def channel_divergence(student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """Return ``T^2 KL`` between the maps of each class, as distributions over pixels, ``[B, C]``.

    Channel-wise distillation (CWD, ICCV 2021, arXiv 2011.13256), before the mean over classes.

    Args:
        student: ``[B, C, H, W]`` logits.
        teacher: ``[B, C, H, W]`` logits.
        temperature: T.
    """
    # [B, C, H, W] -> [B, C, H W]
    log_q, log_p = (F.log_softmax(maps.flatten(2) / temperature, dim=2) for maps in (student, teacher))
    loss: Tensor = temperature**2 * (log_p.exp() * (log_p - log_q)).sum(dim=2)
    return loss
