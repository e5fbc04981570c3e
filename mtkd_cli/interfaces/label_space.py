"""Outputs of a teacher that knows some of the classes only, and labels among its classes."""

from __future__ import annotations

import torch
from torch import Tensor

from mtkd_cli.interfaces import Alignment

UNKNOWN = -1e9
"""The logit of a class that a teacher does not know: softmax gives it exactly 0, and nothing is NaN."""


def on_classes(outputs: Tensor, alignment: Alignment) -> Tensor:
    """Return a teacher's logits ``[B, C', *]`` over the task's classes, ``[B, C, *]``.

    Several outputs that answer one class are summed as probabilities; a class that none answers is
    `UNKNOWN`. So the softmax is the teacher's distribution over the classes that it knows.
    """
    if alignment.is_identity(outputs.shape[1]):
        return outputs
    if all(len(group) == 1 for group in alignment.groups):
        return outputs[:, [group[0] for group in alignment.groups]]
    unknown = torch.full_like(outputs[:, 0], UNKNOWN)
    columns = [outputs[:, list(group)].logsumexp(dim=1) if group else unknown for group in alignment.groups]
    return torch.stack(columns, dim=1)


def restricted(logits: Tensor, known: Tensor) -> Tensor:
    """Return logits ``[B, C, *]`` over the classes of ``known [C]`` alone, the others `UNKNOWN`."""
    return logits.masked_fill(~known.view(1, -1, *(1,) * (logits.dim() - 2)), UNKNOWN)


def speaks(target: Tensor, known: Tensor) -> Tensor:
    """Return where each teacher may be heard, ``[K, B, *]``: not on a label of a class it does not know.

    Args:
        target: class numbers ``[B, *]``, -1 where there is no label.
        known: ``[K, C]`` bool.
    """
    return known[:, target.clamp(min=0).long()] | (target < 0)


def within(target: Tensor, known: Tensor) -> Tensor:
    """Return the labels ``[B, *]`` of the classes that are ``known [C]``, -1 for the others."""
    return torch.where(speaks(target, known[None])[0], target, -1)


def entropy_share(probabilities: Tensor, output: Tensor) -> Tensor:
    """Return the entropy over the log of how many classes are known, ``[B, *]``, 0 to 1.

    Args:
        probabilities: ``[B, C, *]``.
        output: the same answers as they came, `UNKNOWN` for a class that is not known.
    """
    entropy: Tensor = torch.special.entr(probabilities).sum(dim=1)
    return entropy / (output != UNKNOWN).sum(dim=1).clamp(min=2).log()
