"""Samples on which a teacher gave no usable answer: recorded as NaN, filled in and silenced when merged."""

from __future__ import annotations

import torch
from torch import Tensor


def lost(output: Tensor) -> Tensor:
    """Return for which samples ``[B]`` an answer ``[B, C, *]`` has NaN or infinity."""
    return ~torch.isfinite(output).flatten(1).all(dim=1)


def filled(outputs: tuple[Tensor, ...]) -> tuple[tuple[Tensor, ...], Tensor | None]:
    """Return K outputs ``[B, C, *]`` without gaps, and who answered, ``[K, B]``; None if all did.

    A gap takes the mean of those who answered, or 0 if nobody did: whatever compares teachers is
    least disturbed by it. It must be given no weight.
    """
    gaps = torch.stack([lost(output) for output in outputs])
    if not gaps.any():
        return outputs, None
    answered = ~gaps
    clean = [output.masked_fill(over(gap, output), 0) for output, gap in zip(outputs, gaps, strict=True)]
    count = over(answered.sum(dim=0).clamp(min=1), clean[0])
    mean = torch.stack(clean).sum(dim=0) / count
    whole = (torch.where(over(gap, mean), mean, output) for output, gap in zip(clean, gaps, strict=True))
    return tuple(whole), answered


def over(per_sample: Tensor, like: Tensor) -> Tensor:
    """Return ``[B]`` shaped to go with ``[B, C, *]``."""
    return per_sample.view(-1, *(1,) * (like.dim() - 1))
