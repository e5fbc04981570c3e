"""Re-estimate BatchNorm statistics before an evaluation.

In a short run the running averages lag behind the weights (torchvision's mobilenet_v3_small
has momentum 0.01: after 160 steps its accuracy reads 0.10 instead of 0.36). Torch's own
``update_bn`` would switch dropout on; here only BatchNorm layers are in training mode.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm


def reestimated(module: nn.Module, views: Iterable[Tensor]) -> nn.Module:
    """Return a copy of ``module`` in eval mode, its BatchNorm statistics averaged over ``views``.

    Args:
        module: any module; left as it is.
        views: batches of fixed samples, plain views.
    """
    twin = copy.deepcopy(module).eval()
    layers = [
        layer for layer in twin.modules() if isinstance(layer, _BatchNorm) and layer.track_running_stats
    ]
    if not layers:
        return twin
    for layer in layers:
        layer.reset_running_stats()
        layer.momentum, layer.training = None, True
    with torch.no_grad():
        for batch in views:
            twin(batch)
    originals = [
        layer for layer in module.modules() if isinstance(layer, _BatchNorm) and layer.track_running_stats
    ]
    for layer, original in zip(layers, originals, strict=True):
        layer.momentum = original.momentum
    return twin.eval()
