"""Models of timm, each with its own size, normalisation, interpolation and crop."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import nn

from mtkd_cli.errors import DataError, UsageError, first_line, nearest, nearest_or_all
from mtkd_cli.interfaces import InputSpec, Model, ModelRequest
from mtkd_teachers.safe_torch_load import tensors_only

TIMEOUT = 10.0
"""Seconds that the hub has to answer before only its cache is used."""

SAME_NAME = {134: "crane bird", 639: "maillot tank suit"}
"""ImageNet classes that share their first name with another one, as torchvision calls them."""


class TimmProvider:
    """``timm:NAME`` or ``timm:NAME.TAG``."""

    def build(self, request: ModelRequest) -> Model:
        """Return the model; trained weights come from timm's cache or the hub."""
        import timm

        name = request.model
        _check_name(name)
        config: dict[str, Any] = timm.get_pretrained_cfg(name).to_dict()
        head = config.get("classifier") or ""
        if request.pretrained:
            module = _trained(name)
        elif isinstance(head, str):
            module = timm.create_model(name)
        else:  # several heads, which only timm can give another number of outputs
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
        )


def imagenet_classes() -> tuple[str, ...]:
    """Return the names of ImageNet's 1,000 classes, the same as torchvision's."""
    from timm.data import ImageNetInfo

    names = (text.partition(",")[0] for text in ImageNetInfo("imagenet-1k").label_descriptions())
    return tuple(SAME_NAME.get(number, name) for number, name in enumerate(names))


def _check_name(name: str) -> None:
    import timm

    plain, _, tag = name.partition(".")
    if not timm.is_model(plain):
        raise UsageError(
            f"timm has no model {plain!r}",
            where=f"timm:{name}",
            hint=nearest(plain, timm.list_models()) or "timm.list_models() lists them",
        )
    tags = [full.partition(".")[2] for full in timm.list_pretrained(f"{plain}.*")]
    if tag and tag not in tags:
        raise UsageError(
            f"timm's {plain} has no weights {tag!r}", where=f"timm:{name}", hint=nearest_or_all(tag, tags)
        )


def _trained(name: str) -> nn.Module:
    """Return the model with its trained weights.

    Raises:
        DataError: there are none, or they are neither in the cache nor to be had.

    """
    import timm

    config = timm.get_pretrained_cfg(name)
    if not config.has_weights:
        raise DataError(
            f"timm has no trained weights of {name}",
            where=f"timm:{name}",
            hint="give a file with checkpoint:, or fit: all to train it on this data",
        )
    try:
        with _impatient(), tensors_only():
            module: nn.Module = timm.create_model(name, pretrained=True)
    except Exception as error:  # the hub's client raises errors of several libraries
        raise DataError(
            f"the weights of {name} are not in timm's cache and cannot be fetched: {first_line(error)}",
            where=f"timm:{name}",
            hint=f"go online once, or fetch model.safetensors of {config.hf_hub_id or config.url} "
            "elsewhere and give it with checkpoint:",
        ) from error
    return module


@contextmanager
def _impatient() -> Iterator[None]:
    """Ask the hub once whether it is there; if not, use its cache at once instead of trying for a minute."""
    from huggingface_hub import constants
    from huggingface_hub.utils import get_session  # type: ignore[attr-defined]

    before = constants.HF_HUB_OFFLINE
    if not before:
        try:
            get_session().head(constants.ENDPOINT, timeout=TIMEOUT)
        except Exception:  # whatever the HTTP client of this version raises
            constants.HF_HUB_OFFLINE = True
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE = before
