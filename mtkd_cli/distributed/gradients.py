"""Sum the gradients of one optimizer step over the processes, in one all-reduce.

DistributedDataParallel is not used: it rebuilds its buckets after the first step, and with three or more
processes the order of a sum depends on the position in the bucket. A resumed run would then not reproduce
the same bits. A student is small, so one flat message is cheap.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from mtkd_cli.distributed import group


def sum_gradients(module: nn.Module, values: Sequence[float]) -> list[float]:
    """Sum a module's gradients over the processes in place; return the summed ``values``.

    A parameter without a gradient in every process keeps none. Floating-point buffers (BatchNorm's
    statistics) are replaced by those of the first process.

    Args:
        module: the trained module, with the gradients of this process.
        values: further numbers to sum, for example losses.
    """
    if group.size() == 1:
        return list(values)
    trained = [p for p in module.parameters() if p.requires_grad]
    buffers = [b for b in module.buffers() if b.is_floating_point()]
    device = trained[0].device
    tensors = [p.grad if p.grad is not None else torch.zeros_like(p) for p in trained]
    # Zeros in all other processes: the sum is the first process's buffer.
    tensors += [b if group.is_first() else torch.zeros_like(b) for b in buffers]
    scalars = [*(float(p.grad is not None) for p in trained), *values]
    # One flat vector: gradients, buffers, 1 for each parameter with a gradient, values.
    flat = torch.cat([*(tensor.reshape(-1) for tensor in tensors), torch.tensor(scalars, device=device)])
    lengths = [*(tensor.numel() for tensor in tensors), len(trained), len(values)]
    chunks = torch.split(group.all_reduce_sum(flat), lengths)
    with torch.no_grad():
        gradient_counts = chunks[-2].tolist()
        for parameter, chunk, count in zip(trained, chunks, gradient_counts, strict=False):
            parameter.grad = chunk.view_as(parameter).to(parameter) if count else None
        for buffer, chunk in zip(buffers, chunks[len(trained) :], strict=False):
            buffer.copy_(chunk.view_as(buffer))
    sums: list[float] = chunks[-1].tolist()
    return sums
