"""Schema of a model's input and of a teacher's outputs."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator

from mtkd_cli.recipe.field_types import Deviation, ImageSize, PixelValue
from mtkd_cli.recipe.limits import Limits
from mtkd_cli.recipe.section import Section


class Input(Section):
    """Preprocessing of a model's images; missing keys take the model's values."""

    size: ImageSize | tuple[ImageSize, ImageSize] | None = Field(
        None, description="Side of the square input in pixels, or [height, width]."
    )
    mean: tuple[PixelValue, ...] | None = Field(
        None, description="Mean per channel, which is subtracted, in units of range."
    )
    std: tuple[Deviation, ...] | None = Field(
        None, description="Standard deviation per channel, which divides, in units of range."
    )
    channels: Literal[1, 3] | None = Field(None, description="Channels: 1 gray, 3 RGB.")
    interpolation: Literal["bilinear", "bicubic", "nearest"] | None = Field(
        None, description="Method of resizing."
    )
    crop: Annotated[float, Limits(0.1, 1, "it is a share", "images are resized to size / crop")] | None = (
        Field(None, description="Share of the side kept by a center crop.")
    )
    range: tuple[PixelValue, PixelValue] | None = Field(
        None, description="Values of black and white, e.g. [0, 255]; mean and std are in these units."
    )
    order: Literal["rgb", "bgr"] | None = Field(None, description="Order of the three channels.")

    @field_validator("range")
    @classmethod
    def _rising(cls, value: tuple[float, float] | None) -> tuple[float, float] | None:
        if value is not None and value[0] >= value[1]:
            raise ValueError("the first value must be the smaller one")
        return value


class Outputs(Section):
    """Kind of a teacher's outputs; for a detector, how they are laid out (default: recognized)."""

    kind: Literal["logits", "probabilities", "values"] | None = Field(
        None, description="logits (default of classes), probabilities, or values."
    )
    layout: Literal["yolo8", "yolo5", "end-to-end", "detr"] | None = Field(
        None, description="Layout of a detector's outputs."
    )
    boxes: Literal["xyxy", "xywh"] | None = Field(
        None, description="Its boxes: two corners, or center, width and height."
    )
    scale: Literal["pixels", "relative"] | None = Field(
        None, description="Unit of its boxes: pixels of its input, or relative to the sides."
    )
    scores: Literal["probabilities", "sigmoid", "softmax"] | None = Field(
        None,
        description="Its scores: probabilities, or logits for a sigmoid or for a softmax whose last class is "
        "the background.",
    )
    threshold: float | None = Field(None, ge=0, lt=1, description="Minimum score of its boxes; default 0.05.")
    iou: float | None = Field(
        None, gt=0, le=1, description="Overlap above which boxes of a class are suppressed; default 0.65."
    )
