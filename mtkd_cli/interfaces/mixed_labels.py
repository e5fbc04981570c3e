"""Labels of mixed samples, which show two samples each."""

from __future__ import annotations

import torch
from torch import Tensor

from mtkd_cli.interfaces.missing_labels import missing_labels_as
from mtkd_cli.interfaces.types import Labels


def weigh_labels(first: Tensor, second: Tensor, share: Tensor) -> Labels:
    """Return labels whose losses are mixed: ``share * loss(first) + (1 - share) * loss(second)``.

    A label holds for the mixed sample as a whole where both are equal, or where one has the whole share.

    Args:
        first: labels of the samples, ``[B, *]`` or ``[B, *, ...]``.
        second: labels of their partners.
        share: share of the sample in each element of the mixed sample, ``[B, *]``.
    """
    own = append_dimensions(share, first)
    same = torch.where(first == second, first, missing_labels_as(first))
    whole = torch.where(own >= 1, first, torch.where(own <= 0, second, same))
    return Labels(whole, ((first, share), (second, 1 - share)))


def append_dimensions(values: Tensor, like: Tensor) -> Tensor:
    """Return values ``[B, *]`` as ``[B, *, 1, ...]``, with as many dimensions as ``like``."""
    return values.reshape(*values.shape, *(1,) * (like.dim() - values.dim()))
