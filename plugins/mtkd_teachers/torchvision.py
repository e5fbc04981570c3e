"""Classifiers of torchvision, with the preprocessing of their weights."""

from __future__ import annotations

from torch import nn

from mtkd_cli.errors import DataError, UsageError, nearest
from mtkd_cli.interfaces import InputSpec, Model, ModelRequest


class TorchvisionProvider:
    """``torchvision:NAME``, with the default weights where trained ones are asked for."""

    def build(self, request: ModelRequest) -> Model:
        """Return the model; trained weights come from torch's cache or the network."""
        from torchvision import models

        name = request.model
        known = models.list_models(module=models)
        if name not in known:
            raise UsageError(
                f"torchvision has no classifier {name!r}",
                where=f"torchvision:{name}",
                hint=nearest(name, known) or "torchvision.models.list_models() lists them",
            )
        best = models.get_model_weights(name).DEFAULT
        try:
            module = models.get_model(name, weights=best if request.pretrained else None)
        except OSError as error:
            raise DataError(
                f"the weights of {name} cannot be had: {error}",
                where=f"torchvision:{name}",
                hint=f"go online once, or give a file with checkpoint: (from {best.url})",
            ) from error
        preset = best.transforms()
        size, whole = preset.crop_size[0], preset.resize_size[0]
        spec = InputSpec(
            size=size,
            channels=3,
            mean=tuple(preset.mean),
            std=tuple(preset.std),
            interpolation=preset.interpolation.value,
            crop=min(1.0, size / whole),
        )
        head = [part for part, layer in module.named_modules() if isinstance(layer, nn.Linear | nn.Conv2d)][
            -1
        ]
        return Model(
            module, spec, head=head, classes=tuple(best.meta["categories"]), trained=request.pretrained
        )
