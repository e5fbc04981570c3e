"""torchvision's detectors within a module of the user's: what they want as input, how they number classes.

Nothing of torchvision is imported: a module that has one of its detectors inside has imported it.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from torch import Tensor, nn

from mtkd_cli.interfaces import InputSpec, Model, ModelRequest

PACKAGE = "torchvision.models.detection"


def detector_in(module: nn.Module, request: ModelRequest) -> Model | None:
    """Return a module that is a detector of torchvision, or has one inside; None if it is neither.

    - An instance of one of its classes becomes mtkd's own, see `mtkd_teachers.detectors`.
    - A subclass that keeps torchvision's ``forward`` answers shares of the sides instead of pixels.
    - Any other module is left as it is, with plain images from 0 to 1 as input, which torchvision's
      transform inside normalizes.
    """
    inside = _detectors(module)
    if not inside:
        return None
    from mtkd_teachers.detectors import BACKGROUND, as_detector, input_of

    own = as_detector(module)
    if own is not None:
        dropped = isinstance(own, BACKGROUND)
        outputs = _outputs(own)
        return Model(
            own,
            input_of(own, request.size),
            channels_last=False,
            outputs=None if outputs is None else outputs - dropped,
            has_background=False if dropped else None,
        )
    plain = Model(module, _plain(inside[0]), channels_last=False, normalizes=True)
    outputs = _outputs(inside[0])
    if inside[0] is not module or not _is_torchvisions(type(module).forward):
        return replace(plain, outputs=outputs if outputs == request.outputs + 1 else None)
    module.register_forward_hook(_as_shares)
    return replace(plain, outputs=outputs, has_background=True if _has_softmax(module) else None)


def declared(model: Model) -> Model:
    """Return a declared model that wants plain images if it says no mean, and normalizes inside."""
    inside = _detectors(model.module)
    if not inside or model.input.mean or model.input.std:
        return model
    plain = _plain(inside[0])
    spec = replace(
        model.input, mean=plain.mean, std=plain.std, channels=model.input.channels or plain.channels
    )
    return replace(model, input=spec, normalizes=True)


def _detectors(module: nn.Module) -> list[Any]:
    """Return the modules within one that have torchvision's transform, which normalizes; outermost first."""
    transform = getattr(sys.modules.get(f"{PACKAGE}.transform"), "GeneralizedRCNNTransform", None)
    if transform is None:
        return []
    return [
        part
        for part in module.modules()
        if any(isinstance(child, transform) for child in part.children()) or isinstance(part, transform)
    ]


def _plain(detector: Any) -> InputSpec:
    """Return an input of values from 0 to 1, with the channels that a detector's transform has."""
    channels = len(getattr(detector, "transform", detector).image_mean)
    return InputSpec(channels=channels, mean=(0.0,) * channels, std=(1.0,) * channels)


def _outputs(detector: Any) -> int | None:
    """Return how many outputs a detector's classifier has, None if it is not one of torchvision's."""
    predictor = getattr(getattr(detector, "roi_heads", None), "box_predictor", None)
    dense = getattr(getattr(detector, "head", None), "classification_head", None)
    found = (
        getattr(getattr(predictor, "cls_score", None), "out_features", None),  # Faster R-CNN
        getattr(dense, "num_classes", None),  # FCOS, RetinaNet
        getattr(dense, "num_columns", None),  # SSD
    )
    return next((int(number) for number in found if number is not None), None)


def _has_softmax(detector: Any) -> bool:
    """Whether a detector gives the background an output of its own, the first, and never answers it."""
    return hasattr(detector, "roi_heads") or hasattr(detector.head.classification_head, "num_columns")


def _is_torchvisions(function: Any) -> bool:
    return str(function.__module__).startswith(PACKAGE)


def _as_shares(_module: nn.Module, inputs: tuple[Any, ...], output: Any) -> Any:
    """Return what torchvision's ``forward`` answers, boxes as shares of the sides; losses as they are."""
    if not isinstance(output, Sequence):
        return output
    return [
        {**found, "boxes": found["boxes"] / _sides(image, found["boxes"])}
        for image, found in zip(inputs[0], output, strict=True)
    ]


def _sides(image: Tensor, boxes: Tensor) -> Tensor:
    height, width = image.shape[-2:]
    return boxes.new_tensor([width, height, width, height])
