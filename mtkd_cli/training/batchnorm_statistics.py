"""Re-estimate BatchNorm statistics before an evaluation.

In a short run the running averages lag behind the weights (torchvision's mobilenet_v3_small
has momentum 0.01: after 160 steps it scores an accuracy of 0.10 instead of 0.36). Unlike
``torch.optim.swa_utils.update_bn``, only BatchNorm layers are put into training mode, so dropout stays off.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm


def reestimate_batchnorm(module: nn.Module, views: Iterable[Tensor]) -> nn.Module:
    """Return a copy of ``module`` in eval mode, its BatchNorm statistics averaged over ``views``.

    Args:
        module: any module; not changed.
        views: batches of plain views, ``[B, C, H, W]`` each.
    """
    copied = copy.deepcopy(module).eval()
    layers = [
        layer for layer in copied.modules() if isinstance(layer, _BatchNorm) and layer.track_running_stats
    ]
    if not layers:
        return copied
    for layer in layers:
        layer.reset_running_stats()
        layer.momentum, layer.training = None, True
    with torch.no_grad():
        for batch in views:
            copied(batch)
    originals = [
        layer for layer in module.modules() if isinstance(layer, _BatchNorm) and layer.track_running_stats
    ]
    for layer, original in zip(layers, originals, strict=True):
        layer.momentum = original.momentum
    return copied.eval()
