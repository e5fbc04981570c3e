"""Models of segmentation-models-pytorch: any decoder on any encoder, ``smp:unet/resnet34``."""

from __future__ import annotations

import inspect
import math
import re
from typing import Any
from urllib.parse import parse_qsl

from torch import nn

from mtkd_cli.errors import DataError, UsageError, first_line, nearest_or_all
from mtkd_cli.interfaces import InputSpec, Model, ModelRequest
from mtkd_teachers.safe_torch_load import tensors_only

EXAMPLE = "smp:unet/resnet34, or smp:unet/resnet18?encoder_depth=3&decoder_channels=64-32-16"


class SmpProvider:
    """``smp:DECODER/ENCODER``, and after ``?`` what else the library's model takes, ``key=value&key=value``.

    Trained weights are those of the encoder alone, so a teacher needs a checkpoint or ``fit: all``.
    Its input is brought to the next size that the encoder can halve, and normalised as the encoder's
    trained weights want it; as the data's is where none are loaded.
    """

    def build(self, request: ModelRequest) -> Model:
        """Return the model; trained weights of the encoder come from the hub or its cache."""
        import segmentation_models_pytorch as smp

        decoder, encoder, options = parsed(request.model)
        where = f"smp:{request.model}"
        known = list(smp.MODEL_ARCHITECTURES_MAPPING)
        if decoder not in known:
            raise UsageError(f"smp has no decoder {decoder!r}", where, nearest_or_all(decoder, known))
        encoders = smp.encoders.get_encoder_names()
        if encoder not in encoders and not encoder.startswith("tu-"):
            raise UsageError(
                f"smp has no encoder {encoder!r}",
                where,
                f"{nearest_or_all(encoder, encoders)}; tu-NAME takes timm's",
            )
        taken = inspect.signature(smp.MODEL_ARCHITECTURES_MAPPING[decoder]).parameters
        for key in options:
            if key not in taken:  # the library would pass over it
                raise UsageError(f"smp's {decoder} takes no {key!r}", where, nearest_or_all(key, taken))
        weights = options.pop("encoder_weights", "imagenet")
        module = _built(
            where,
            arch=decoder,
            encoder_name=encoder,
            encoder_weights=weights if request.pretrained else None,
            in_channels=request.channels,
            classes=request.outputs,
            **options,
        )
        step = int(module.encoder.output_stride)
        fetched = request.pretrained and weights
        mean, std = _normalisation(where, encoder, weights) if fetched else ((), ())
        spec = InputSpec(
            size=math.ceil(request.size / step) * step, channels=request.channels, mean=mean, std=std
        )
        return Model(module, spec, head="segmentation_head.0", partly=True)


def parsed(name: str) -> tuple[str, str, dict[str, Any]]:
    """Return decoder, encoder and options of ``unet/resnet34?encoder_depth=3``.

    Raises:
        UsageError: it is no such name.
    """
    model, _, query = name.partition("?")
    decoder, _, encoder = model.partition("/")
    try:
        pairs = parse_qsl(query, strict_parsing=True) if query else []
    except ValueError:
        pairs = []
    if not encoder or bool(query) != bool(pairs):
        raise UsageError(f"{name!r} is no decoder/encoder", f"smp:{name}", f"write {EXAMPLE}")
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


def _built(where: str, **arguments: Any) -> Any:
    import segmentation_models_pytorch as smp

    try:
        with tensors_only():
            module: nn.Module = smp.create_model(**arguments)
    except (TypeError, ValueError, KeyError) as error:
        raise UsageError(f"smp cannot build it: {first_line(error)}", where, f"write {EXAMPLE}") from error
    except Exception as error:  # the hub's client raises errors of several libraries
        raise DataError(
            f"the encoder's weights cannot be had: {first_line(error)}",
            where,
            "go online once, or set pretrained: false",
        ) from error
    return module


def _normalisation(where: str, encoder: str, weights: Any) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return mean and deviation that an encoder's trained weights want; they lie beside the weights."""
    import segmentation_models_pytorch as smp

    try:
        found = smp.encoders.get_preprocessing_params(encoder, pretrained=weights)
    except Exception as error:  # the hub's client raises errors of several libraries
        raise DataError(
            f"the encoder's normalisation cannot be had: {first_line(error)}",
            where,
            "go online once, or set pretrained: false",
        ) from error
    return tuple(found["mean"]), tuple(found["std"])
