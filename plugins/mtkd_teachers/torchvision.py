"""Models of torchvision, with the preprocessing of their weights."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from mtkd_cli.errors import UsageError, nearest
from mtkd_cli.interfaces import InputSpec, Model, ModelRequest
from mtkd_teachers import torchvision_detection, torchvision_segmentation
from mtkd_teachers.downloads import load_trained


class TorchvisionProvider:
    """``torchvision:NAME``; ``pretrained`` loads the model's default weights."""

    def build(self, request: ModelRequest) -> Model:
        """Return the model; trained weights come from torch's cache or the network."""
        from torchvision import models

        name, detectors = request.model, torchvision_detection.names()
        if name in detectors:
            return torchvision_detection.build(request)
        if name in torchvision_segmentation.names():
            return torchvision_segmentation.build(request)
        known = models.list_models(module=models)
        if name not in known:
            raise UsageError(
                f"torchvision has no model {name!r}",
                where=f"torchvision:{name}",
                hint=nearest(name, [*known, *detectors, *torchvision_segmentation.names()])
                or "torchvision.models.list_models() lists them",
            )
        best = models.get_model_weights(name).DEFAULT
        module = (
            load_trained(name, best)
            if request.pretrained
            else models.get_model(name, **_arguments(name, best))
        )
        module.register_forward_hook(_only_logits)
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
        layers = [n for n, layer in module.named_modules() if isinstance(layer, nn.Linear | nn.Conv2d)]
        classes = tuple(best.meta["categories"])
        return Model(module, spec, head=layers[-1], classes=classes, trained=request.pretrained)


def _arguments(name: str, best: Any) -> dict[str, Any]:
    """Return the arguments that give an untrained model the input and shape of the trained one."""
    if name in ("googlenet", "inception_v3"):
        return {"transform_input": True, "init_weights": True}
    return {"image_size": best.meta["min_size"][0]} if name.startswith("vit_") else {}


def _only_logits(_module: nn.Module, _inputs: Any, output: Any) -> Tensor:
    """Return only the logits; in training mode some models also return those of auxiliary heads."""
    logits: Tensor = output[0] if isinstance(output, tuple) else output
    return logits
