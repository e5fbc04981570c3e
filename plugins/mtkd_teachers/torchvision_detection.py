"""Detectors of torchvision at any size, with COCO's classes where their weights are trained."""

from __future__ import annotations

from mtkd_cli.interfaces import Model, ModelRequest

PRESET = 800
"""Side at which the trained weights are used, in pixels; SSD and SSDLite have their own."""


def names() -> list[str]:
    """Return the names of the detectors, keypoint and mask models left out."""
    from torchvision import models

    known = models.list_models(module=models.detection)
    return [name for name in known if name.startswith(("fasterrcnn", "fcos", "retinanet", "ssd"))]


def build(request: ModelRequest) -> Model:
    """Return a detector; untrained with ``request.outputs`` classes, or with its trained weights."""
    from torchvision import models

    from mtkd_teachers.detectors import BACKGROUND, as_detector, input_of, take_over
    from mtkd_teachers.downloads import trained as with_weights

    name = request.model
    best = models.get_model_weights(name).DEFAULT
    if request.pretrained:
        module = with_weights(name, best)
    else:
        background = request.background or name.startswith(("fasterrcnn", "ssd"))
        module = models.get_model(
            name, weights=None, weights_backbone=None, num_classes=request.outputs + background
        )
    detector = as_detector(module)
    if detector is None:
        raise TypeError(name)
    classes = tuple(best.meta["categories"])
    dropped = isinstance(detector, BACKGROUND)
    numbers = len(classes) if request.pretrained else request.outputs + request.background
    if dropped:
        classes = classes[1:]
        numbers = len(classes) if request.pretrained else request.outputs

    def resized(outputs: int) -> Model:
        if outputs == numbers:
            return model
        other = build(ModelRequest(name, request.channels, request.size, outputs, pretrained=False))
        take_over(other.module, detector)
        trained = request.pretrained
        return Model(other.module, model.input, channels_last=False, trained=trained, resized=other.resized)

    model = Model(
        detector,
        input_of(detector, _size(name) if request.pretrained else request.size),
        classes=classes if request.pretrained else None,
        trained=request.pretrained,
        channels_last=False,
        resized=resized,
        outputs=numbers,
        has_background=False if dropped else None,
    )
    return model


def _size(name: str) -> int:
    return 300 if name.startswith("ssd300") else 320 if "320" in name else PRESET
