"""Models of timm, each with its own size, normalisation, interpolation and crop."""

from __future__ import annotations

from typing import Any

from mtkd_cli.errors import DataError, UsageError, nearest
from mtkd_cli.interfaces import InputSpec, Model, ModelRequest


class TimmProvider:
    """``timm:NAME`` or ``timm:NAME.TAG``."""

    def build(self, request: ModelRequest) -> Model:
        """Return the model; trained weights come from timm's cache or the hub."""
        import timm

        name = request.model
        if not timm.is_model(name):
            raise UsageError(
                f"timm has no model {name!r}",
                where=f"timm:{name}",
                hint=nearest(name, timm.list_models()) or "timm.list_models() lists them",
            )
        try:
            module = timm.create_model(name, pretrained=request.pretrained)
        except (OSError, RuntimeError, ValueError) as error:
            raise DataError(
                f"the weights of {name} cannot be had: {str(error).splitlines()[0]}",
                where=f"timm:{name}",
                hint="go online once, or give a file with checkpoint:",
            ) from error
        config: dict[str, Any] = module.pretrained_cfg
        head = config.get("classifier", "")
        spec = InputSpec(
            size=config["input_size"][-1],
            channels=3,
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
            classes=_classes(config),
            trained=request.pretrained,
        )


def _classes(config: dict[str, Any]) -> tuple[str, ...] | None:
    """Return ImageNet's class names for a model with its 1,000 classes, else None."""
    from timm.data import ImageNetInfo

    if config.get("num_classes") != 1000:
        return None
    return tuple(name.partition(",")[0] for name in ImageNetInfo("imagenet-1k").label_descriptions())
