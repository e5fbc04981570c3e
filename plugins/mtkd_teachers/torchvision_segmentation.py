"""Segmentation models of torchvision at any size; trained weights have Pascal VOC's classes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from torch import nn

from mtkd_cli.interfaces import InputSpec, Model, ModelRequest

TWO_HEADS = ("classifier.low_classifier", "classifier.high_classifier")
"""The last layers of LR-ASPP, whose outputs are added."""


def names() -> list[str]:
    """Return the names of the segmentation models."""
    from torchvision import models

    known: list[str] = models.list_models(module=models.segmentation)
    return known


def build(request: ModelRequest) -> Model:
    """Return an untrained model with ``request.outputs`` classes, or one with its trained weights.

    The auxiliary head of trained weights is removed: it was only used in their own training.
    """
    from torchvision import models

    from mtkd_teachers.downloads import load_trained

    name = request.model
    best = models.get_model_weights(name).DEFAULT
    if request.pretrained:
        module = load_trained(name, best)
        if getattr(module, "aux_classifier", None) is not None:
            module.aux_classifier = None  # type: ignore[assignment]
    else:
        module = models.get_model(name, weights=None, weights_backbone=None, num_classes=request.outputs)
    preset = best.transforms()
    classes = tuple(label.strip("_") for label in best.meta["categories"])  # its first is __background__
    model = Model(
        module,
        InputSpec(channels=3, mean=tuple(preset.mean), std=tuple(preset.std)),
        head="" if name.startswith("lraspp") else "classifier.4",
        classes=classes if request.pretrained else None,
        trained=request.pretrained,
    )
    return replace(model, resized=_with_outputs(model)) if name.startswith("lraspp") else model


def _with_outputs(model: Model) -> Callable[[int], Model]:
    """Return a function that replaces both heads of LR-ASPP in place."""

    def resized(outputs: int) -> Model:
        for name in TWO_HEADS:
            head = model.module.get_submodule(name)
            if isinstance(head, nn.Conv2d) and head.out_channels != outputs:
                parent, _, last = name.rpartition(".")
                new = nn.Conv2d(head.in_channels, outputs, 1)
                setattr(model.module.get_submodule(parent), last, new)
        return replace(model, classes=model.classes if len(model.classes or ()) == outputs else None)

    return resized
