"""The weighted mixture of teachers' class probabilities, also where each knows some classes only."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from mtkd_cli.interfaces import Merged

STEPS = 30
"""Newton steps to the mixture over partial label spaces; it converges in about ten."""

LARGEST_STEP = 3.0
"""Change of a teacher's log-scale in one step: far from the optimum Newton's steps are too long."""

RIDGE = 1e-9
TINY = 1e-300


def probabilities(outputs: tuple[Tensor, ...], temperature: float) -> Tensor:
    """Return the softened probabilities ``[K, B, C, *]`` of logits."""
    return torch.stack([F.softmax(output.float() / temperature, dim=1) for output in outputs])


def mixed(merged: Merged, temperature: float = 1.0) -> Tensor:
    """Return the target ``[B, C, *]``: combined probabilities, or the weighted mean of the teachers'.

    Where teachers know some classes only, it is the ``q`` under which their answers are most likely,
    each taken as a choice among the classes that it knows (Luce, 1959): ``max_q sum_k w_k sum_l
    p_k(l) log(q(l) / q(L_k))``. Between classes that no chain of teachers connects, nothing says more
    than how many teachers speak of them.
    """
    if merged.combined is not None:
        return F.softmax(merged.combined.float() / temperature, dim=1)
    if merged.weights is None:
        raise ValueError("neither weights nor a combined answer")
    weights = merged.weights.unsqueeze(2)
    answered = (weights * probabilities(merged.outputs, temperature)).sum(dim=0)
    if merged.known is None:
        return answered
    return _most_likely(answered, merged.weights, merged.known).to(answered.dtype)


def _most_likely(answered: Tensor, weights: Tensor, known: Tensor) -> Tensor:
    """Return the most likely ``q [B, C, *]``.

    At the optimum ``q(l) = a(l) / c(l)``, ``c(l) = sum over the teachers that know l of w_k exp(s_k)``,
    where ``s_k`` scales teacher k's answers to the others'. What is left to find, ``s``, maximises
    the concave ``sum_k w_k s_k - sum_l a(l) log c(l)``: Newton's method, K numbers an element.

    Args:
        answered: ``a = sum_k w_k p_k``, ``[B, C, *]``.
        weights: ``[K, B, *]``.
        known: ``[K, C]``.
    """
    a = answered.movedim(1, -1).double()
    w = weights.movedim(0, -1).double()
    knows = known.to(a.dtype)
    scale = torch.zeros_like(w)
    ridge = RIDGE * torch.eye(len(known), dtype=a.dtype, device=a.device)
    for _ in range(STEPS):
        say = (w * scale.exp())[..., None] * knows
        share = say / say.sum(dim=-2, keepdim=True).clamp(min=TINY)
        heard = (share * a[..., None, :]).sum(dim=-1)
        curvature = torch.diag_embed(heard) - (share * a[..., None, :]) @ share.transpose(-1, -2)
        step = torch.linalg.solve(curvature + ridge, w - heard)
        scale = scale + (step - step.mean(dim=-1, keepdim=True)).clamp(-LARGEST_STEP, LARGEST_STEP)
    say = ((w * scale.exp())[..., None] * knows).sum(dim=-2)
    q = torch.where(say > TINY, a / say.clamp(min=TINY), 0)
    total = q.sum(dim=-1, keepdim=True)
    q = torch.where(total > 0, q / total.clamp(min=TINY), 1 / q.shape[-1])
    return q.movedim(-1, 1)
