"""Outputs and labels for teachers that know only some of the classes. B samples, C classes, K teachers."""

from __future__ import annotations

import torch
from torch import Tensor

from mtkd_cli.interfaces import Alignment

UNKNOWN = -1e9
"""Logit of a class that a teacher does not know; its softmax is exactly 0, without NaN."""


def align_logits(outputs: Tensor, alignment: Alignment) -> Tensor:
    """Convert a teacher's logits ``[B, C', *]`` to the task's classes, ``[B, C, *]``.

    The probabilities of several outputs for one class are summed; the logit of a class without outputs is
    `UNKNOWN`. So the softmax is the teacher's distribution over the classes that it knows.
    """
    if alignment.is_identity(outputs.shape[1]):
        return outputs
    if all(len(group) == 1 for group in alignment.groups):
        return outputs[:, [group[0] for group in alignment.groups]]
    unknown = torch.full_like(outputs[:, 0], UNKNOWN)  # [B, *]
    # C of [B, *]: log of the summed exponentials of the group's outputs
    columns = [outputs[:, list(group)].logsumexp(dim=1) if group else unknown for group in alignment.groups]
    return torch.stack(columns, dim=1)


def restrict_logits(logits: Tensor, known: Tensor) -> Tensor:
    """Return logits ``[B, C, *]`` with `UNKNOWN` for the classes outside the mask ``known [C]``."""
    # [C] -> [1, C, *]
    return logits.masked_fill(~known.view(1, -1, *(1,) * (logits.dim() - 2)), UNKNOWN)


def usage_mask_of_labels(target: Tensor, known: Tensor) -> Tensor:
    """Return the mask ``[K, B, *]`` of elements on which each teacher is used.

    It is False for labels of a class that the teacher does not know, and True without a label.

    Args:
        target: class numbers ``[B, *]``, -1 for missing labels.
        known: ``[K, C]`` bool, the classes that each teacher knows.
    """
    return known[:, target.clamp(min=0).long()] | (target < 0)


def remove_unknown_labels(target: Tensor, known: Tensor) -> Tensor:
    """Return labels ``[B, *]`` with -1 for the classes outside the mask ``known [C]``."""
    return torch.where(usage_mask_of_labels(target, known[None])[0], target, -1)


def entropy_share(probabilities: Tensor, output: Tensor) -> Tensor:
    """Return the entropy divided by the log of the number of known classes, ``[B, *]``, 0 to 1.

    Args:
        probabilities: ``[B, C, *]``.
        output: the logits ``[B, C, *]`` of the probabilities, `UNKNOWN` for unknown classes.
    """
    # [B, C, *] -> [B, *]
    entropy: Tensor = torch.special.entr(probabilities).sum(dim=1)
    return entropy / (output != UNKNOWN).sum(dim=1).clamp(min=2).log()
