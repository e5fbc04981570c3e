"""Samples with non-finite teacher outputs: recorded as NaN, replaced and given weight 0 when merged."""

from __future__ import annotations

import torch
from torch import Tensor


def has_nonfinite(output: Tensor) -> Tensor:
    """Return the mask ``[B]`` of samples whose output ``[B, C, *]`` has NaN or infinity."""
    return ~torch.isfinite(output).flatten(1).all(dim=1)


def fill_gaps(outputs: tuple[Tensor, ...]) -> tuple[tuple[Tensor, ...], Tensor | None]:
    """Replace non-finite outputs by the mean of the other teachers' outputs, or by 0 if there are none.

    The mean disturbs comparisons of teachers least. The caller must give it weight 0.

    Returns:
        The K outputs ``[B, C, *]``, and the mask ``[K, B]`` of finite ones; None if all are finite.
    """
    gaps = torch.stack([has_nonfinite(output) for output in outputs])  # [K, B]
    if not gaps.any():
        return outputs, None
    answered = ~gaps
    clean = [
        output.masked_fill(broadcast_per_sample(gap, output), 0)
        for output, gap in zip(outputs, gaps, strict=True)
    ]
    # [K, B] -> [B, 1, *]: number of teachers with a finite output
    count = broadcast_per_sample(answered.sum(dim=0).clamp(min=1), clean[0])
    mean = torch.stack(clean).sum(dim=0) / count
    complete = (
        torch.where(broadcast_per_sample(gap, mean), mean, output)
        for output, gap in zip(clean, gaps, strict=True)
    )
    return tuple(complete), answered


def broadcast_per_sample(per_sample: Tensor, like: Tensor) -> Tensor:
    """Reshape ``[B]`` to ``[B, 1, *]``, so that it broadcasts with ``like [B, C, *]``."""
    return per_sample.view(-1, *(1,) * (like.dim() - 1))
