"""Image classifiers of Hugging Face transformers: ``hf:FOLDER``, or a name of its hub."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from mtkd_cli.errors import DataError, UsageError, first_line
from mtkd_cli.interfaces import InputSpec, Model, ModelRequest
from mtkd_cli.safe_loading.optional_imports import need

WANTED = ["*.json", "*.safetensors"]
"""What is fetched of a model: no pickle, no code."""

UNCROPPED = 384
"""Side from which ConvNeXt's processor takes the whole image, whatever its ``crop_pct``."""

FILTERS = {0: "nearest", 2: "bilinear", 3: "bicubic"}
"""PIL's numbers for interpolation."""


class HfProvider:
    """Weights come from safetensors only, and no code of the model's repository is ever run."""

    def files(self, model: str) -> list[Path]:
        """Return the configuration and the weights.

        Raises:
            DataError: they cannot be had, or the weights are a pickle.
        """
        folder = _folder(model)
        files = sorted(path for path in folder.iterdir() if path.suffix in (".json", ".safetensors"))
        if not any(path.suffix == ".safetensors" for path in files):
            raise DataError(
                "it has no weights in safetensors; a pickle may run code and is not read",
                where=f"hf:{model}",
                hint="save it again with save_pretrained(FOLDER, safe_serialization=True)",
            )
        return files

    def build(self, request: ModelRequest) -> Model:
        """Return the model with the classes and the preprocessing that its files declare."""
        where = f"hf:{request.model}"
        need("transformers", "hf", where)
        import transformers

        transformers.utils.logging.disable_progress_bar()
        self.files(request.model)
        folder = _folder(request.model)
        try:
            inner, told = transformers.AutoModelForImageClassification.from_pretrained(
                folder,
                use_safetensors=True,
                trust_remote_code=False,
                local_files_only=True,
                output_loading_info=True,
            )
        except Exception as error:  # transformers raises errors of many kinds
            raise DataError(
                f"transformers cannot load it: {first_line(error)}", where, "is it an image classifier?"
            ) from error
        if told["missing_keys"]:
            raise DataError(
                f"its weights lack {sorted(told['missing_keys'])[0]}",
                where,
                "choose one that was trained to classify images",
            )
        names = inner.config.id2label
        return Model(
            _Logits(inner.float()),
            _input(folder, inner.config, where),
            classes=tuple(str(names[number]) for number in sorted(names)),
            trained=True,
            channels_last=False,
        )


class _Logits(nn.Module):
    """A classifier that answers its logits alone."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, pixels: Tensor) -> Tensor:
        """Return ``[B, C]`` for ``[B, 3, H, W]``."""
        logits: Tensor = self.inner(pixel_values=pixels).logits
        return logits


def _folder(model: str) -> Path:
    """Return the folder of a model: the path given, or the hub's snapshot, fetched if it is not cached."""
    where = f"hf:{model}"
    need("transformers", "hf", where)
    path = Path(model)
    if path.is_dir():
        return path
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(model, allow_patterns=WANTED))
    except Exception as error:  # the hub's client raises errors of several libraries
        raise DataError(
            f"no folder {model}, and the hub's model is neither cached nor to be fetched: "
            f"{first_line(error)}",
            where=where,
            hint="go online once; or fetch its config.json, preprocessor_config.json and model.safetensors "
            "elsewhere, put them into one folder and write hf:FOLDER",
        ) from error


def _input(folder: Path, config: Any, where: str) -> InputSpec:
    """Return the input that the image processor describes, or the configuration where there is none."""
    file = folder / "preprocessor_config.json"
    try:
        told: dict[str, Any] = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    except ValueError as error:
        raise DataError(f"{file.name} is no JSON", where, "fetch it again") from error
    channels = getattr(config, "num_channels", 3)
    shown = _side(told.get("size")) or getattr(config, "image_size", None)
    crop = _side(told.get("crop_size")) if told.get("do_center_crop") else None
    size = crop or shown
    if size is not None and not isinstance(size, int):
        raise UsageError(f"it takes images of {size}; mtkd shows square ones", where, "choose another model")
    normalised = told.get("do_normalize", bool(told))
    scaled = told.get("do_rescale", True)
    share = crop / shown if crop and isinstance(shown, int) and crop <= shown else 1.0
    if size is not None and size < UNCROPPED:
        share = told.get("crop_pct") or share
    return InputSpec(
        size=size,
        channels=channels,
        mean=tuple(told.get("image_mean") or ()) if normalised else (0.0,) * channels,
        std=tuple(told.get("image_std") or ()) if normalised else (1.0,) * channels,
        interpolation=FILTERS.get(told.get("resample", 2), "bicubic"),
        crop=share,
        range=(0.0, 1.0) if scaled else (0.0, 255.0),
    )


def _side(size: Any) -> Any:
    """Return the side of a square; what was given where it is none."""
    if not isinstance(size, dict):
        return size
    if "shortest_edge" in size:
        return size["shortest_edge"]
    height, width = size.get("height"), size.get("width")
    return height if height == width else f"{height} x {width}"
