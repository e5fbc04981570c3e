"""Models of timm, each with its own input size, normalization, interpolation and crop."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from torch import nn

from mtkd_cli.errors import DataError, UsageError, nearest, nearest_or_all
from mtkd_cli.interfaces import HubFormat, InputSpec, Model, ModelRequest, sides
from mtkd_teachers.safe_torch_load import tensors_only

TIMEOUT = 10.0
"""Seconds to wait for the hub before only its cache is used."""

AMBIGUOUS = {134: "crane bird", 639: "maillot tank suit"}
"""torchvision's names of ImageNet classes whose first name is ambiguous, by class number."""

HUB_USAGE = """import timm

model = timm.create_model("local-dir:{folder}", pretrained=True).eval()   # or hf-hub:you/name
transform = timm.data.create_transform(**timm.data.resolve_model_data_config(model))
"""


class TimmProvider:
    """``timm:NAME`` or ``timm:NAME.TAG``."""

    def build(self, request: ModelRequest) -> Model:
        """Return the model; trained weights come from timm's cache or the hub."""
        import timm

        name = request.model
        check_name(name)
        config: dict[str, Any] = timm.get_pretrained_cfg(name).to_dict()
        head = config.get("classifier") or ""
        if request.pretrained:
            module = load_trained(name)
        elif isinstance(head, str):
            module = timm.create_model(name)
        else:  # several heads: only timm can change their number of outputs
            module = timm.create_model(name, num_classes=request.outputs)
        config = vars(module)["pretrained_cfg"]
        spec = InputSpec(
            size=config["input_size"][-1],
            channels=config["input_size"][0],
            mean=tuple(config["mean"]),
            std=tuple(config["std"]),
            interpolation=config["interpolation"]
            if config["interpolation"] in ("bilinear", "nearest")
            else "bicubic",
            crop=config["crop_pct"] or 1.0,
        )
        return Model(
            module,
            spec,
            head=head if isinstance(head, str) else "",
            classes=imagenet_classes() if module.num_classes == 1000 else None,
            trained=request.pretrained,
            hub=HubFormat("timm", functools.partial(hub_config, module), HUB_USAGE),
        )


def hub_config(module: nn.Module, spec: InputSpec, classes: Sequence[str]) -> dict[str, Any] | None:
    """Return the ``config.json`` that `timm.create_model` reads; None for an input that timm cannot express.

    Args:
        module: model of timm; its number of outputs may differ from that of the classes' names.
        spec: input of the model, as it was trained.
        classes: class names in the order of the outputs.
    """
    if spec.range != (0.0, 1.0) or spec.order != "rgb":
        return None
    own: dict[str, Any] = vars(module)["pretrained_cfg"]
    channels = spec.channels or own["input_size"][0]
    height, width = sides(spec.size or own["input_size"][1:])
    return {
        "architecture": own["architecture"],
        "num_classes": len(classes),
        "num_features": vars(module)["num_features"],
        "label_names": list(classes),
        "pretrained_cfg": {
            "input_size": [channels, height, width],
            "fixed_input_size": own.get("fixed_input_size", False),
            "interpolation": spec.interpolation,
            "crop_pct": spec.crop,
            "crop_mode": "center",
            "mean": list(spec.mean),
            "std": list(spec.std),
            "num_classes": len(classes),
            "first_conv": own["first_conv"],
            "classifier": own["classifier"],
        },
    }


def imagenet_classes() -> tuple[str, ...]:
    """Return the names of ImageNet's 1,000 classes; they equal torchvision's."""
    from timm.data import ImageNetInfo

    names = (text.partition(",")[0] for text in ImageNetInfo("imagenet-1k").label_descriptions())
    return tuple(AMBIGUOUS.get(number, name) for number, name in enumerate(names))


def check_name(name: str) -> None:
    """Raise `UsageError` if timm has no such model or no such weights."""
    import timm

    architecture, _, tag = name.partition(".")
    if not timm.is_model(architecture):
        raise UsageError(
            f"timm has no model {architecture!r}",
            where=f"timm:{name}",
            hint=nearest(architecture, timm.list_models()) or "timm.list_models() lists them",
        )
    tags = [full.partition(".")[2] for full in timm.list_pretrained(f"{architecture}.*")]
    if tag and tag not in tags:
        raise UsageError(
            f"timm's {architecture} has no weights {tag!r}",
            where=f"timm:{name}",
            hint=nearest_or_all(tag, tags),
        )


def load_trained(name: str, **options: Any) -> nn.Module:
    """Return the model with its trained weights.

    Args:
        name: name of the model, with or without a tag.
        options: further arguments of `timm.create_model`.

    Raises:
        DataError: there are no weights, or they are neither cached nor downloadable.
    """
    import timm

    config = timm.get_pretrained_cfg(name)
    if not config.has_weights:
        raise DataError(
            f"timm has no trained weights for {name}",
            where=f"timm:{name}",
            hint="set checkpoint: to a file of weights, or fit: all to train it on this data",
        )
    try:
        with _offline_if_unreachable(), tensors_only():
            module: nn.Module = timm.create_model(name, pretrained=True, **options)
    except Exception as error:  # the hub's client raises errors of several libraries
        raise DataError(
            f"the weights of {name} are not in timm's cache and cannot be downloaded: "
            f"{(str(error).splitlines() or [type(error).__name__])[0]}",
            where=f"timm:{name}",
            hint=f"go online once, or download model.safetensors of {config.hf_hub_id or config.url} "
            "elsewhere and set checkpoint: to that file",
        ) from error
    return module


@contextmanager
def _offline_if_unreachable() -> Iterator[None]:
    """Check once whether the hub is reachable; if not, use only its cache, without a minute of retries."""
    from huggingface_hub import constants
    from huggingface_hub.utils import get_session  # type: ignore[attr-defined]

    before = constants.HF_HUB_OFFLINE
    if not before:
        try:
            get_session().head(constants.ENDPOINT, timeout=TIMEOUT)
        except Exception:  # the type depends on the version of the HTTP client
            constants.HF_HUB_OFFLINE = True
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE = before
