"""Schema of the section ``augment``: random changes in a view."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer

from mtkd_cli.recipe.limits import Limits
from mtkd_cli.recipe.section import Section

FIRST_KEYS = ("flip", "shift", "rotate", "zoom", "crop", "brightness", "contrast")
"""Keys of the first version, which are always written."""


class RandAugment(Section):
    """A few random operations in a view, see `mtkd_cli.data.randaugment`."""

    operations: int = Field(2, ge=1, le=14, description="Number of operations, drawn from 14.")
    magnitude: float = Field(0.3, ge=0, le=1, description="Strength of the operations, 0 to 1.")


class Augment(Section):
    """Random changes in a view. View 0 is always the plain sample."""

    flip: bool = Field(False, description="Mirror left and right, half of the time.")
    shift: float = Field(0.0, ge=0, le=0.5, description="Largest shift, as a share of the side.")
    rotate: float = Field(0.0, ge=0, le=180, description="Largest rotation, in degrees.")
    zoom: Annotated[float, Limits(0, 0.99, "a view has at least one pixel")] = Field(
        0.0, description="Largest change of size, as a share (0.1: 0.9 to 1.1 times)."
    )
    crop: Annotated[float, Limits(0.01, 1, "it is a share", "a crop has at least one pixel")] = Field(
        1.0, description="Smallest side of a random crop, as a share of the side."
    )
    resized_crop: Annotated[float, Limits(0.01, 1, "it is a share", "a crop has at least one pixel")] = Field(
        1.0,
        description="Smallest random crop of the original image, as a share of its area, with an aspect "
        "ratio between 3/4 and 4/3 of the image's; it is stretched to the size of the data. 1: no crop.",
    )
    brightness: float = Field(0.0, ge=0, le=1, description="Largest change of brightness, as a share.")
    contrast: float = Field(0.0, ge=0, le=1, description="Largest change of contrast, as a share.")

    saturation: float = Field(0.0, ge=0, le=1, description="Largest change of saturation, as a share.")
    hue: float = Field(
        0.0, ge=0, le=0.5, description="Largest rotation of the hue, as a share of the circle."
    )
    grayscale: float = Field(0.0, ge=0, le=1, description="Probability of removing the colors.")
    randaugment: RandAugment | None = Field(
        None, description="RandAugment: each view has a few of 14 operations, such as shear or equalize."
    )
    erase: float = Field(
        0.0, ge=0, le=1, description="Largest erased rectangle, as a share of the image's area."
    )
    mixup: float = Field(
        0.0,
        ge=0,
        le=100,
        description="Mix each view with that of another sample; the share is drawn from Beta(mixup, mixup). "
        "0: no.",
    )
    cutmix: float = Field(
        0.0,
        ge=0,
        le=100,
        description="Replace a rectangle of each view by that of another sample; its area is drawn from "
        "Beta(cutmix, cutmix). 0: no.",
    )

    @property
    def mixes(self) -> bool:
        """Whether a view shows two samples."""
        return self.mixup > 0 or self.cutmix > 0

    @model_serializer(mode="wrap")
    def _without_unused_keys(self, serialize: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Return the keys of the first version, and the later ones that are set.

        This is part of the content key of recorded outputs: a new key must not invalidate those of recipes
        without it.
        """
        written: dict[str, Any] = serialize(self)
        default = {name: field.default for name, field in type(self).model_fields.items()}
        return {
            name: value
            for name, value in written.items()
            if name in FIRST_KEYS or getattr(self, name) != default[name]
        }
