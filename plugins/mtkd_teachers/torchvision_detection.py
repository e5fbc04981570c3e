"""Detectors of torchvision at any size; trained weights have COCO's classes."""

from __future__ import annotations

from mtkd_cli.interfaces import Model, ModelRequest

PRESET = 800
"""Input side of the trained weights, in pixels; SSD and SSDLite have their own."""


def names() -> list[str]:
    """Return the names of the detectors, without keypoint and mask models."""
    from torchvision import models

    known = models.list_models(module=models.detection)
    return [name for name in known if name.startswith(("fasterrcnn", "fcos", "retinanet", "ssd"))]


def build(request: ModelRequest) -> Model:
    """Return an untrained detector with ``request.outputs`` classes, or one with its trained weights."""
    from torchvision import models

    from mtkd_teachers.detectors import BACKGROUND, as_detector, copy_matching_weights, input_spec
    from mtkd_teachers.downloads import load_trained

    name = request.model
    best = models.get_model_weights(name).DEFAULT
    if request.pretrained:
        module = load_trained(name, best)
    else:
        background = request.background or name.startswith(("fasterrcnn", "ssd"))
        module = models.get_model(
            name, weights=None, weights_backbone=None, num_classes=request.outputs + background
        )
    detector = as_detector(module)
    if detector is None:
        raise TypeError(name)
    classes = tuple(best.meta["categories"])
    drops_background = isinstance(detector, BACKGROUND)
    class_count = len(classes) if request.pretrained else request.outputs + request.background
    if drops_background:
        classes = classes[1:]
        class_count = len(classes) if request.pretrained else request.outputs

    def resized(outputs: int) -> Model:
        if outputs == class_count:
            return model
        other = build(ModelRequest(name, request.channels, request.size, outputs, pretrained=False))
        copy_matching_weights(other.module, detector)
        trained = request.pretrained
        return Model(other.module, model.input, channels_last=False, trained=trained, resized=other.resized)

    model = Model(
        detector,
        input_spec(detector, _size(name) if request.pretrained else request.size),
        classes=classes if request.pretrained else None,
        trained=request.pretrained,
        channels_last=False,
        resized=resized,
        outputs=class_count,
        has_background=False if drops_background else None,
    )
    return model


def _size(name: str) -> int:
    """Return the input side of the trained weights, in pixels."""
    return 300 if name.startswith("ssd300") else 320 if "320" in name else PRESET
