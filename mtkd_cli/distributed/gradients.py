"""Add up over the processes, in one message, what one optimizer step needs of each.

Not by DistributedDataParallel: it lays gradients out anew after its first step, and with three or more
processes the order in which a number is added up depends on where it lies. A run that goes on would then
not come to the same bits. The gradients of a small student are a small message.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from mtkd_cli.distributed import group


def summed_with(module: nn.Module, values: Sequence[float]) -> list[float]:
    """Sum the gradients of a module over the processes, in place, and return the sums of some values.

    A parameter that has a gradient in no process has none afterwards. Buffers (BatchNorm's statistics)
    become the first process's.
    """
    if group.size() == 1:
        return list(values)
    trained = [p for p in module.parameters() if p.requires_grad]
    buffers = [b for b in module.buffers() if b.is_floating_point()]
    device = trained[0].device
    parts = [p.grad if p.grad is not None else torch.zeros_like(p) for p in trained]
    parts += [b if group.is_first() else torch.zeros_like(b) for b in buffers]
    facts = [*(float(p.grad is not None) for p in trained), *values]
    flat = torch.cat([*(part.reshape(-1) for part in parts), torch.tensor(facts, device=device)])
    lengths = [*(part.numel() for part in parts), len(trained), len(values)]
    pieces = torch.split(group.summed(flat), lengths)
    with torch.no_grad():
        has = pieces[-2].tolist()
        for parameter, piece, count in zip(trained, pieces, has, strict=False):
            parameter.grad = piece.view_as(parameter).to(parameter) if count else None
        for buffer, piece in zip(buffers, pieces[len(trained) :], strict=False):
            buffer.copy_(piece.view_as(buffer))
    sums: list[float] = pieces[-1].tolist()
    return sums
