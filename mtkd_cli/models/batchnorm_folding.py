"""Fold BatchNorm into the convolution before it: fewer passes over memory, the same answers up to rounding.

``torch.fx`` cannot trace every model (timm's ``tf_*`` ones, for example), so which BatchNorm
follows which convolution is observed in one forward pass, and the result is compared.
"""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.utils.fusion import fuse_conv_bn_weights

TOLERANCE = 1e-4
"""Largest difference to the unfolded module, as a share of its largest answer."""


def folded(module: nn.Module, example: Tensor) -> tuple[nn.Module, float]:
    """Return a frozen copy with BatchNorms folded, and its largest difference to ``module`` on ``example``.

    Where nothing can be folded, or folding would be inexact, the module itself is returned.

    Args:
        module: in eval mode.
        example: a batch of what it takes.
    """
    with torch.no_grad():
        expected = module(example)
        twin = copy.deepcopy(module)
        for convolution, norm in _pairs(twin, example):
            _fold(twin, convolution, norm)
        answer = twin(example)
    if not isinstance(expected, Tensor) or not isinstance(answer, Tensor):
        return module, 0.0
    difference = (answer - expected).abs().max().item()
    if not difference <= TOLERANCE * max(1.0, expected.abs().max().item()):
        return module, 0.0
    return twin, difference


def _pairs(module: nn.Module, example: Tensor) -> list[tuple[str, str]]:
    """Return names of (convolution, BatchNorm): the one feeds the other, and each runs once."""
    made_by: dict[int, str] = {}
    kept: list[Tensor] = []
    pairs: list[tuple[str, str]] = []
    runs: dict[str, int] = {}

    def after_convolution(name: str, output: Tensor) -> None:
        runs[name] = runs.get(name, 0) + 1
        kept.append(output)
        made_by[id(output)] = name

    def before_norm(name: str, value: Tensor) -> None:
        runs[name] = runs.get(name, 0) + 1
        if id(value) in made_by:
            pairs.append((made_by[id(value)], name))

    hooks = []
    for name, layer in module.named_modules():
        if isinstance(layer, nn.Conv1d | nn.Conv2d | nn.Conv3d):
            hooks.append(layer.register_forward_hook(lambda _, __, out, n=name: after_convolution(n, out)))
        elif isinstance(layer, _BatchNorm) and layer.track_running_stats:
            hooks.append(layer.register_forward_pre_hook(lambda _, given, n=name: before_norm(n, given[0])))
    module(example)
    for hook in hooks:
        hook.remove()
    return [(conv, norm) for conv, norm in pairs if runs[conv] == runs[norm] == 1]


def _fold(module: nn.Module, convolution: str, norm: str) -> None:
    conv, bn = module.get_submodule(convolution), module.get_submodule(norm)
    if not isinstance(conv, nn.Conv1d | nn.Conv2d | nn.Conv3d) or not isinstance(bn, _BatchNorm):
        raise TypeError(f"{convolution} and {norm}")
    if bn.running_mean is None or bn.running_var is None:
        return
    conv.weight, conv.bias = fuse_conv_bn_weights(
        conv.weight, conv.bias, bn.running_mean, bn.running_var, bn.eps, bn.weight, bn.bias
    )
    # timm's norms carry the activation that follows them.
    rest = [
        part for part in (getattr(bn, "drop", None), getattr(bn, "act", None)) if isinstance(part, nn.Module)
    ]
    parent, _, name = norm.rpartition(".")
    setattr(module.get_submodule(parent), name, nn.Sequential(*rest))
