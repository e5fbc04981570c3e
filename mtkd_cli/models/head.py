"""The last layer of a model: find it, replace it, split the model in front of it."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import nn

from mtkd_cli import counter_rng
from mtkd_cli.errors import UsageError
from mtkd_cli.interfaces import Model


def tail_of(model: Model) -> nn.Module:
    """Return what runs from the head on: what reaches the head goes in, outputs ``[B, C]`` come out.

    That is the head itself, and where it is a convolution (SqueezeNet), the layers after it too.
    """
    head = model.module.get_submodule(model.head)
    if not isinstance(head, nn.Conv2d):
        return head
    parent, _, name = model.head.rpartition(".")
    around = model.module.get_submodule(parent)
    after = list(around.named_children()) if isinstance(around, nn.Sequential) else []
    names = [child for child, _ in after]
    rest = [layer for _, layer in after[names.index(name) + 1 :]] if name in names else []
    return nn.Sequential(head, *rest, nn.Flatten(1))


def with_outputs(model: Model, outputs: int, where: str, seed: int) -> Model:
    """Return the model with a new head if the present one has another number of outputs."""
    if model.resized is not None:
        counter_rng.seed_torch("head", seed)
        return model.resized(outputs)
    if model.outputs is not None and model.outputs < outputs:
        raise UsageError(
            f"it has {model.outputs} classes besides the background; {outputs} are needed",
            where=where,
            hint=f"build it for {outputs} classes; torchvision counts the background as one more",
        )
    if not model.head:
        if model.classes and len(model.classes) != outputs:
            raise UsageError(
                f"it has {len(model.classes)} outputs and no single last layer that can be replaced",
                where=where,
                hint=f"choose another model, or weights trained with {outputs} outputs",
            )
        return model
    head = model.module.get_submodule(model.head)
    counter_rng.seed_torch("head", seed)
    new: nn.Module
    if isinstance(head, nn.Linear):
        if head.out_features == outputs:
            return model
        new = nn.Linear(head.in_features, outputs, bias=head.bias is not None)
    elif isinstance(head, nn.Conv2d):
        if head.out_channels == outputs:
            return model
        new = nn.Conv2d(
            head.in_channels,
            outputs,
            head.kernel_size,  # type: ignore[arg-type]
            head.stride,  # type: ignore[arg-type]
            head.padding,  # type: ignore[arg-type]
            bias=head.bias is not None,
        )
    elif isinstance(head, nn.Identity):
        new = nn.LazyLinear(outputs)
    else:
        raise UsageError(
            f"the head {model.head!r} is a {type(head).__name__}, which cannot be replaced", where=where
        )
    parent, _, name = model.head.rpartition(".")
    setattr(model.module.get_submodule(parent), name, new)
    if isinstance(new, nn.LazyLinear):
        _find_width(model)
    return replace(model, classes=None)


def _find_width(model: Model) -> None:
    """Run the model once, so that a head put where none was learns how many features reach it."""
    size, channels = model.input.size or 224, model.input.channels or 3
    training = model.module.training
    with torch.no_grad():
        model.module.eval()(torch.zeros(1, channels, size, size))
    model.module.train(training)
