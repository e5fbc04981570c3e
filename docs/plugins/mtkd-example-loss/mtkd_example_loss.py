"""A distillation loss for mtkd: the KL divergence in both directions, in one file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mtkd_cli.hookspecs import hookimpl
from mtkd_cli.specs import LossSpec, Option

if TYPE_CHECKING:  # mtkd list imports this module, so it must not import torch
    from torch import Tensor


@hookimpl
def mtkd_register_losses() -> list[LossSpec]:
    """Register the loss; a recipe selects it with ``task: {name: classification, kd: two-way}``."""
    return [
        LossSpec(
            "two-way",
            "Weighted sum of the KL divergences in both directions.",
            "mtkd_example_loss:two_way",
            tasks=("classification", "segmentation"),
            options=(Option("back", float, 0.5, "weight of KL(q || p)", minimum=0.0, maximum=1.0),),
            formula="T^2 ((1 - back) KL(p || q) + back KL(q || p))",
            paper="an example",
        )
    ]


def two_way(student: Tensor, teacher: Tensor, temperature: float, back: float) -> Tensor:
    """Return the loss of each element, ``[B, *]``, of logits ``[B, C, *]``.

    T^2 keeps the size of gradients the same at every temperature.
    """
    log_q, log_p = ((logits / temperature).log_softmax(dim=1) for logits in (student, teacher))
    gap = log_p - log_q  # [B, C, *]
    forward, backward = (log_p.exp() * gap).sum(dim=1), -(log_q.exp() * gap).sum(dim=1)  # [B, *]
    return temperature**2 * ((1 - back) * forward + back * backward)
