"""Models of segmentation-models-pytorch, any decoder and encoder: ``smp:unet/resnet34``."""

from __future__ import annotations

import inspect
import math
import re
from typing import Any
from urllib.parse import parse_qsl

from torch import nn

from mtkd_cli.errors import DataError, UsageError, first_line, nearest_or_all
from mtkd_cli.interfaces import InputSpec, Model, ModelRequest, sides
from mtkd_teachers.safe_torch_load import tensors_only

EXAMPLE = "smp:unet/resnet34, or smp:unet/resnet18?encoder_depth=3&decoder_channels=64-32-16"


class SmpProvider:
    """``smp:DECODER/ENCODER?key=value&key=value``; keys are further arguments of the library's model.

    Only the encoder has trained weights, so a teacher needs a checkpoint or ``fit: all``. The input size is
    rounded up to a multiple of the encoder's stride. The input is normalized for the encoder's trained
    weights, or with the data's statistics if none are loaded.
    """

    def build(self, request: ModelRequest) -> Model:
        """Return the model; trained encoder weights come from the hub or its cache.

        Raises:
            UsageError: unknown decoder, encoder or argument.
            DataError: the weights cannot be downloaded.
        """
        import segmentation_models_pytorch as smp

        decoder, encoder, options = parse_name(request.model)
        where = f"smp:{request.model}"
        decoders = list(smp.MODEL_ARCHITECTURES_MAPPING)
        if decoder not in decoders:
            raise UsageError(f"smp has no decoder {decoder!r}", where, nearest_or_all(decoder, decoders))
        encoders = smp.encoders.get_encoder_names()
        if encoder not in encoders and not encoder.startswith("tu-"):
            raise UsageError(
                f"smp has no encoder {encoder!r}",
                where,
                f"{nearest_or_all(encoder, encoders)}; tu-NAME uses an encoder of timm",
            )
        accepted = inspect.signature(smp.MODEL_ARCHITECTURES_MAPPING[decoder]).parameters
        for key in options:
            if key not in accepted:  # the library would ignore it
                raise UsageError(
                    f"smp's {decoder} has no argument {key!r}", where, nearest_or_all(key, accepted)
                )
        weights = options.pop("encoder_weights", "imagenet")
        module = _create(
            where,
            arch=decoder,
            encoder_name=encoder,
            encoder_weights=weights if request.pretrained else None,
            in_channels=request.channels,
            classes=request.outputs,
            **options,
        )
        step = int(module.encoder.output_stride)
        has_weights = request.pretrained and weights
        mean, std = _normalization(where, encoder, weights) if has_weights else ((), ())
        height, width = (math.ceil(side / step) * step for side in sides(request.size))
        size = height if height == width else (height, width)
        spec = InputSpec(size=size, channels=request.channels, mean=mean, std=std)
        return Model(module, spec, head="segmentation_head.0", partly=True)


def parse_name(name: str) -> tuple[str, str, dict[str, Any]]:
    """Return decoder, encoder and options of a name like ``unet/resnet34?encoder_depth=3``.

    Raises:
        UsageError: the name has another form.
    """
    model, _, query = name.partition("?")
    decoder, _, encoder = model.partition("/")
    try:
        pairs = parse_qsl(query, strict_parsing=True) if query else []
    except ValueError:
        pairs = []
    if not encoder or bool(query) != bool(pairs):
        raise UsageError(f"{name!r} is not decoder/encoder", f"smp:{name}", f"use for example {EXAMPLE}")
    return decoder.lower(), encoder, {key: _value(text) for key, text in pairs}


def _value(text: str) -> Any:
    """Return a number, a list of numbers (``64-32-16``), true, false, none or text."""
    if re.fullmatch(r"[0-9]+(-[0-9]+)+", text):
        return [int(number) for number in text.split("-")]
    if re.fullmatch(r"[0-9]+", text):
        return int(text)
    if re.fullmatch(r"[0-9]*\.[0-9]+", text):
        return float(text)
    return {"true": True, "false": False, "none": None}.get(text.lower(), text)


def _create(where: str, **arguments: Any) -> Any:
    """Return the library's model, with its errors as ours."""
    import segmentation_models_pytorch as smp

    try:
        with tensors_only():
            module: nn.Module = smp.create_model(**arguments)
    except (TypeError, ValueError, KeyError) as error:
        raise UsageError(
            f"smp cannot build the model: {first_line(error)}", where, f"use for example {EXAMPLE}"
        ) from error
    except Exception as error:  # the hub's client raises errors of several libraries
        raise DataError(
            f"the encoder's weights cannot be downloaded: {first_line(error)}",
            where,
            "go online once, or set pretrained: false",
        ) from error
    return module


def _normalization(where: str, encoder: str, weights: Any) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return mean and standard deviation for an encoder's trained weights, from the hub."""
    import segmentation_models_pytorch as smp

    try:
        parameters = smp.encoders.get_preprocessing_params(encoder, pretrained=weights)
    except Exception as error:  # the hub's client raises errors of several libraries
        raise DataError(
            f"the encoder's normalization cannot be downloaded: {first_line(error)}",
            where,
            "go online once, or set pretrained: false",
        ) from error
    return tuple(parameters["mean"]), tuple(parameters["std"])
