"""torchvision's detectors inside a user's module: their input and their class numbers.

This module does not import torchvision: a module that contains one of its detectors has imported it.
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
    """Return the model for a module that is or contains a detector of torchvision; None for other modules.

    - An instance of a torchvision class is converted to mtkd's class, see `mtkd_teachers.detectors`.
    - A subclass that keeps torchvision's ``forward`` returns relative boxes instead of pixels.
    - Other modules are not changed. They get images from 0 to 1, which torchvision's transform inside them
      normalizes.
    """
    inside = _detectors(module)
    if not inside:
        return None
    from mtkd_teachers.detectors import BACKGROUND, as_detector, input_spec

    own = as_detector(module)
    if own is not None:
        drops_background = isinstance(own, BACKGROUND)
        outputs = _outputs(own)
        return Model(
            own,
            input_spec(own, request.size),
            channels_last=False,
            outputs=None if outputs is None else outputs - drops_background,
            has_background=False if drops_background else None,
        )
    plain = Model(module, _plain_input(inside[0]), channels_last=False, normalizes=True)
    outputs = _outputs(inside[0])
    if inside[0] is not module or not _is_torchvisions(type(module).forward):
        return replace(plain, outputs=outputs if outputs == request.outputs + 1 else None)
    module.register_forward_hook(_to_relative)
    return replace(plain, outputs=outputs, has_background=True if _has_softmax(module) else None)


def with_plain_input(model: Model) -> Model:
    """Return the model with images from 0 to 1 as input if it contains a detector and declares no mean."""
    inside = _detectors(model.module)
    if not inside or model.input.mean or model.input.std:
        return model
    plain = _plain_input(inside[0])
    spec = replace(
        model.input, mean=plain.mean, std=plain.std, channels=model.input.channels or plain.channels
    )
    return replace(model, input=spec, normalizes=True)


def _detectors(module: nn.Module) -> list[Any]:
    """Return the submodules that are or contain torchvision's normalizing transform, outermost first."""
    transform = getattr(sys.modules.get(f"{PACKAGE}.transform"), "GeneralizedRCNNTransform", None)
    if transform is None:
        return []
    return [
        submodule
        for submodule in module.modules()
        if any(isinstance(child, transform) for child in submodule.children())
        or isinstance(submodule, transform)
    ]


def _plain_input(detector: Any) -> InputSpec:
    """Return an input of images from 0 to 1, with the number of channels of a detector's transform."""
    channels = len(getattr(detector, "transform", detector).image_mean)
    return InputSpec(channels=channels, mean=(0.0,) * channels, std=(1.0,) * channels)


def _outputs(detector: Any) -> int | None:
    """Return the number of outputs of a detector's classifier; None if it is not torchvision's."""
    predictor = getattr(getattr(detector, "roi_heads", None), "box_predictor", None)
    dense = getattr(getattr(detector, "head", None), "classification_head", None)
    found = (
        getattr(getattr(predictor, "cls_score", None), "out_features", None),  # Faster R-CNN
        getattr(dense, "num_classes", None),  # FCOS, RetinaNet
        getattr(dense, "num_columns", None),  # SSD
    )
    return next((int(number) for number in found if number is not None), None)


def _has_softmax(detector: Any) -> bool:
    """Whether a detector's first output is the background, which it never predicts."""
    return hasattr(detector, "roi_heads") or hasattr(detector.head.classification_head, "num_columns")


def _is_torchvisions(function: Any) -> bool:
    return str(function.__module__).startswith(PACKAGE)


def _to_relative(_module: nn.Module, inputs: tuple[Any, ...], output: Any) -> Any:
    """Convert the boxes in a torchvision output to fractions of the sides; leave losses as they are."""
    if not isinstance(output, Sequence):
        return output
    return [
        {**found, "boxes": found["boxes"] / _sides(image, found["boxes"])}
        for image, found in zip(inputs[0], output, strict=True)
    ]


def _sides(image: Tensor, boxes: Tensor) -> Tensor:
    height, width = image.shape[-2:]
    return boxes.new_tensor([width, height, width, height])
