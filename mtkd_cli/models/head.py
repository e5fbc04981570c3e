"""The head (last layer) of a model: replace it, or get the layers from the head on."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import nn

from mtkd_cli import counter_rng
from mtkd_cli.errors import UsageError
from mtkd_cli.interfaces import Model, sides


def tail_of(model: Model) -> nn.Module:
    """Return the layers from the head on: they map the input of the head to outputs ``[B, C]``.

    This is the head itself, and after a convolution (SqueezeNet) also the layers that follow it.
    """
    head = model.module.get_submodule(model.head)
    if not isinstance(head, nn.Conv2d):
        return head
    parent, _, name = model.head.rpartition(".")
    container = model.module.get_submodule(parent)
    children = list(container.named_children()) if isinstance(container, nn.Sequential) else []
    names = [child for child, _ in children]
    following = [layer for _, layer in children[names.index(name) + 1 :]] if name in names else []
    return nn.Sequential(head, *following, nn.Flatten(1))


def with_outputs(model: Model, outputs: int, where: str, seed: int) -> Model:
    """Return the model with ``outputs`` outputs; the head is replaced if it has another number.

    Args:
        model: the model.
        outputs: number of outputs.
        where: the model, for messages.
        seed: seed of the new head's weights.

    Raises:
        UsageError: the head cannot be replaced.
    """
    if model.resized is not None:
        counter_rng.seed_torch("head", seed)
        return model.resized(outputs)
    if model.outputs is not None and model.outputs < outputs:
        raise UsageError(
            f"the model has {model.outputs} classes besides the background, but {outputs} are needed",
            where=where,
            hint=f"build it for {outputs} classes; torchvision counts the background as an additional class",
        )
    if not model.head:
        if model.classes and len(model.classes) != outputs:
            raise UsageError(
                f"the model has {len(model.classes)} outputs and no single last layer to replace",
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
            f"cannot replace the head {model.head!r} of type {type(head).__name__}",
            where=where,
            hint=f"choose another model, or weights with {outputs} outputs",
        )
    parent, _, name = model.head.rpartition(".")
    setattr(model.module.get_submodule(parent), name, new)
    if isinstance(new, nn.LazyLinear):
        _initialize_lazy_head(model)
    return replace(model, classes=None)


def _initialize_lazy_head(model: Model) -> None:
    """Run the model once, so that a lazy head gets its number of input features."""
    size, channels = sides(model.input.size or 224), model.input.channels or 3
    training = model.module.training
    with torch.no_grad():
        model.module.eval()(torch.zeros(1, channels, *size))
    model.module.train(training)
