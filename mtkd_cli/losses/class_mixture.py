"""The weighted mixture of teachers' class probabilities, with full or partial label spaces."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from mtkd_cli.interfaces import Merged

STEPS = 30
"""Number of Newton steps for partial label spaces; about ten suffice."""

MAX_STEP = 3.0
"""Maximum change of a teacher's log-scale in one step: far from the optimum, Newton steps are too long."""

RIDGE = 1e-9
TINY = 1e-300


def probabilities(outputs: tuple[Tensor, ...], temperature: float) -> Tensor:
    """Return the softened probabilities ``[K, B, C, *]`` of logits."""
    return torch.stack([F.softmax(output.float() / temperature, dim=1) for output in outputs])


def mixed(merged: Merged, temperature: float = 1.0) -> Tensor:
    """Return the target probabilities ``[B, C, *]``: the combined ones, or the teachers' weighted mean.

    With partial label spaces, it is the ``q`` that makes the teachers' outputs most likely, if each output is
    a choice among the classes ``L_k`` that the teacher knows (Luce, 1959): ``max_q sum_k w_k sum_l p_k(l)
    log(q(l) / q(L_k))``. The ratio between classes that no chain of teachers connects is not determined by
    the data; it follows from the weights of the teachers that know them.

    Raises:
        ValueError: neither weights nor a combined output.
    """
    if merged.combined is not None:
        return F.softmax(merged.combined.float() / temperature, dim=1)
    if merged.weights is None:
        raise ValueError("neither weights nor a combined output")
    weights = merged.weights.unsqueeze(2)  # [K, B, *] -> [K, B, 1, *]
    mean = (weights * probabilities(merged.outputs, temperature)).sum(dim=0)  # [K, B, C, *] -> [B, C, *]
    if merged.known is None:
        return mean
    return _maximum_likelihood(mean, merged.weights, merged.known).to(mean.dtype)


def _maximum_likelihood(mean: Tensor, weights: Tensor, known: Tensor) -> Tensor:
    """Return the most likely ``q [B, C, *]``, see `mixed`.

    At the optimum ``q(l) = a(l) / c(l)``, ``c(l) = sum over the teachers that know l of w_k exp(s_k)``,
    where ``s_k`` scales the outputs of teacher k relative to the others. The unknown ``s`` maximizes the
    concave ``sum_k w_k s_k - sum_l a(l) log c(l)``, by Newton's method with K unknowns per element.

    Args:
        mean: ``a = sum_k w_k p_k``, ``[B, C, *]``.
        weights: ``[K, B, *]``.
        known: ``[K, C]`` bool, the classes that each teacher knows.
    """
    a = mean.movedim(1, -1).double()  # [B, C, *] -> [B, *, C]
    w = weights.movedim(0, -1).double()  # [K, B, *] -> [B, *, K]
    knows = known.to(a.dtype)
    scale = torch.zeros_like(w)  # s: [B, *, K]
    ridge = RIDGE * torch.eye(len(known), dtype=a.dtype, device=a.device)
    for _ in range(STEPS):
        terms = (w * scale.exp())[..., None] * knows  # terms of c: [B, *, K, C]
        share = terms / terms.sum(dim=-2, keepdim=True).clamp(min=TINY)  # [B, *, K, C], sum 1 over K
        mass = (share * a[..., None, :]).sum(dim=-1)  # [B, *, K]; equals w at the optimum
        # negative Hessian: [B, *, K, K]
        curvature = torch.diag_embed(mass) - (share * a[..., None, :]) @ share.transpose(-1, -2)
        step = torch.linalg.solve(curvature + ridge, w - mass)  # [B, *, K]
        # s is determined up to a constant: remove the mean
        scale = scale + (step - step.mean(dim=-1, keepdim=True)).clamp(-MAX_STEP, MAX_STEP)
    c = ((w * scale.exp())[..., None] * knows).sum(dim=-2)  # [B, *, C]
    q = torch.where(c > TINY, a / c.clamp(min=TINY), 0)
    total = q.sum(dim=-1, keepdim=True)  # normalize; uniform if no teacher has weight
    q = torch.where(total > 0, q / total.clamp(min=TINY), 1 / q.shape[-1])
    return q.movedim(-1, 1)  # [B, *, C] -> [B, C, *]
