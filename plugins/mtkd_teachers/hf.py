"""Models of Hugging Face transformers for images: ``hf:FOLDER``, or ``hf:NAME`` from the hub."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from mtkd_cli.errors import DataError, first_line
from mtkd_cli.interfaces import InputSpec, Model, ModelRequest
from mtkd_cli.safe_loading.optional_imports import need
from mtkd_teachers.hf_detector import HfDetector

DOWNLOADED = ["*.json", "*.safetensors"]
"""Files to download from the hub: no pickle, no code."""

CLASSIFIER, DETECTOR, SEGMENTER = "ForImageClassification", "ForObjectDetection", "ForSemanticSegmentation"
AUTO_CLASSES = {
    CLASSIFIER: ("AutoModelForImageClassification", "image classification"),
    DETECTOR: ("AutoModelForObjectDetection", "object detection"),
    SEGMENTER: ("AutoModelForSemanticSegmentation", "semantic segmentation"),
}
"""Class that loads a model, and what the model is for, by the end of the name of the model's class."""

UNCROPPED = 384
"""Side from which ConvNeXt's processor ignores ``crop_pct`` and uses the whole image."""

FILTERS = {0: "nearest", 2: "bilinear", 3: "bicubic"}
"""Interpolation by PIL's filter number."""


class HfProvider:
    """Loads weights from safetensors only, and never runs code of the model's repository."""

    def files(self, model: str) -> list[Path]:
        """Return the configuration and the weights.

        Raises:
            DataError: the files cannot be downloaded, or the weights are a pickle.
        """
        folder = _folder(model)
        files = sorted(path for path in folder.iterdir() if path.suffix in (".json", ".safetensors"))
        if not any(path.suffix == ".safetensors" for path in files):
            raise DataError(
                "the model has no weights in safetensors; pickles are not loaded, because they can run code",
                where=f"hf:{model}",
                hint="save it with save_pretrained(FOLDER, safe_serialization=True)",
            )
        return files

    def build(self, request: ModelRequest) -> Model:
        """Return the model with the classes and the preprocessing that its files declare."""
        where = f"hf:{request.model}"
        need("transformers", "hf", where)
        self.files(request.model)
        folder = _folder(request.model)
        inner = _load(folder, where)
        names = inner.config.id2label
        classes = tuple(str(names[number]) for number in sorted(names))
        is_detector = _kind(folder) == DETECTOR
        model = Model(
            HfDetector(inner, len(classes)) if is_detector else _Logits(inner),
            _input(folder, inner.config, where),
            head="" if is_detector else _head(inner, len(classes)),
            classes=classes,
            trained=True,
            channels_last=False,
            outputs=len(classes) if is_detector else None,
        )

        def resized(outputs: int) -> Model:
            if outputs == len(classes):
                return model
            module = HfDetector(_load(folder, where, outputs), outputs)
            return replace(model, module=module, classes=None, outputs=outputs)

        return replace(model, resized=resized) if is_detector else model


def _load(folder: Path, where: str, outputs: int | None = None) -> Any:
    """Return the model of transformers, with a new head if ``outputs`` is given.

    Raises:
        DataError: transformers cannot load it, or weights are missing.
    """
    import transformers

    logs = transformers.utils.logging
    logs.disable_progress_bar()
    verbosity = logs.get_verbosity()
    kind, meant_for = AUTO_CLASSES[_kind(folder)]
    changes = (
        {}
        if outputs is None
        else {"id2label": {number: str(number) for number in range(outputs)}, "ignore_mismatched_sizes": True}
    )
    logs.set_verbosity(logs.CRITICAL)  # no report about the new head; missing weights are an error below
    try:
        inner, loading_info = getattr(transformers, kind).from_pretrained(
            folder,
            use_safetensors=True,
            trust_remote_code=False,
            local_files_only=True,
            output_loading_info=True,
            **changes,
        )
    except Exception as error:  # transformers raises many kinds of errors
        raise DataError(
            f"transformers cannot load the model: {first_line(error)}", where, f"use a model for {meant_for}"
        ) from error
    finally:
        logs.set_verbosity(verbosity)
    if loading_info["missing_keys"]:
        raise DataError(
            f"the weights have no {sorted(loading_info['missing_keys'])[0]}",
            where,
            f"use a model that was trained for {meant_for}",
        )
    return inner.float()


def _kind(folder: Path) -> str:
    """Return the end of the name of the model's class, one of `AUTO_CLASSES`."""
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        config = {}
    names = config.get("architectures") if isinstance(config, dict) else None
    name = str(names[0]) if isinstance(names, list) and names else ""
    return next((kind for kind in AUTO_CLASSES if name.endswith(kind)), CLASSIFIER)


def _head(inner: nn.Module, outputs: int) -> str:
    """Return the name of the only layer that gives the classes; ``""`` if there are several."""
    found = [
        name
        for name, layer in inner.named_modules()
        if (isinstance(layer, nn.Linear) and layer.out_features == outputs)
        or (isinstance(layer, nn.Conv2d) and layer.out_channels == outputs and layer.kernel_size == (1, 1))
    ]
    named = [name for name in found if "classif" in name or "head" in name]
    return f"inner.{named[0]}" if len(named) == 1 else ""


class _Logits(nn.Module):
    """A classifier or segmenter that returns only its logits."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, pixels: Tensor) -> Tensor:
        """Return ``[B, C]``, or maps ``[B, C, h, w]``, for ``[B, 3, H, W]``."""
        logits: Tensor = self.inner(pixel_values=pixels).logits
        return logits


def _folder(model: str) -> Path:
    """Return the folder of a model: a local path, or a snapshot of the hub, downloaded if not cached."""
    where = f"hf:{model}"
    need("transformers", "hf", where)
    path = Path(model)
    if path.is_dir():
        return path
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(model, allow_patterns=DOWNLOADED))
    except Exception as error:  # the hub's client raises errors of several libraries
        raise DataError(
            f"no folder {model}, and the model is neither cached nor can it be downloaded: "
            f"{first_line(error)}",
            where=where,
            hint="go online once; or download config.json, preprocessor_config.json and model.safetensors "
            "elsewhere into one folder and use hf:FOLDER",
        ) from error


def _input(folder: Path, config: Any, where: str) -> InputSpec:
    """Return the input that the image processor declares, or else the configuration."""
    file = folder / "preprocessor_config.json"
    try:
        processor: dict[str, Any] = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    except ValueError as error:
        raise DataError(f"{file.name} is not valid JSON", where, "download it again") from error
    channels = getattr(config, "num_channels", 3)
    resized = _side(processor.get("size")) or getattr(config, "image_size", None)
    crop = _side(processor.get("crop_size")) if processor.get("do_center_crop") else None
    size = crop or resized
    normalized = processor.get("do_normalize", bool(processor))
    rescaled = processor.get("do_rescale", True)
    fraction = 1.0
    if isinstance(crop, int) and isinstance(resized, int) and crop <= resized:
        fraction = crop / resized
    if isinstance(size, int) and size < UNCROPPED:
        fraction = processor.get("crop_pct") or fraction
    return InputSpec(
        size=size,
        channels=channels,
        mean=tuple(processor.get("image_mean") or ()) if normalized else (0.0,) * channels,
        std=tuple(processor.get("image_std") or ()) if normalized else (1.0,) * channels,
        interpolation=FILTERS.get(processor.get("resample", 2), "bicubic"),
        crop=fraction,
        range=(0.0, 1.0) if rescaled else (0.0, 255.0),
    )


def _side(size: Any) -> Any:
    """Return the side of a square in pixels, (height, width) if it is not square, or None."""
    if not isinstance(size, dict):
        return size
    if "shortest_edge" in size:
        return size["shortest_edge"]
    height, width = size.get("height"), size.get("width")
    return height if height == width else (height, width)
