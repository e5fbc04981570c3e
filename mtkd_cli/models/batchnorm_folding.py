"""Fold BatchNorm into the preceding convolution: faster, with the same outputs up to rounding.

``torch.fx`` cannot trace every model (timm's ``tf_*`` models, for example). So one forward pass observes
which BatchNorm follows which convolution, and the outputs of the folded copy are compared.
"""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.utils.fusion import fuse_conv_bn_weights

TOLERANCE = 1e-4
"""Maximum difference to the original outputs, relative to their largest absolute value."""


def fold_batchnorm(module: nn.Module, example: Tensor) -> tuple[nn.Module, float]:
    """Return a copy with BatchNorms folded, and its largest absolute difference on ``example``.

    Returns the module itself and 0 if folding would change the outputs by more than `TOLERANCE`.

    Args:
        module: a module in eval mode.
        example: a batch of its inputs.
    """
    with torch.no_grad():
        expected = module(example)
        folded = copy.deepcopy(module)
        for convolution, norm in _find_pairs(folded, example):
            _fold(folded, convolution, norm)
        output = folded(example)
    if not isinstance(expected, Tensor) or not isinstance(output, Tensor):
        return module, 0.0
    difference = (output - expected).abs().max().item()
    # Written so that NaN counts as a difference.
    if not difference <= TOLERANCE * max(1.0, expected.abs().max().item()):
        return module, 0.0
    return folded, difference


def _find_pairs(module: nn.Module, example: Tensor) -> list[tuple[str, str]]:
    """Return the names of (convolution, BatchNorm) pairs: one feeds the other, and each runs once."""
    made_by: dict[int, str] = {}  # id of an output -> name of the convolution
    kept: list[Tensor] = []  # keeps the outputs alive, so that ids stay unique
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
    # timm's norm layers include dropout and activation: keep these.
    kept = [
        layer
        for layer in (getattr(bn, "drop", None), getattr(bn, "act", None))
        if isinstance(layer, nn.Module)
    ]
    parent, _, name = norm.rpartition(".")
    setattr(module.get_submodule(parent), name, nn.Sequential(*kept))
