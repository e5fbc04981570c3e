"""Field types of the recipe schema."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar

from pydantic import BeforeValidator, Discriminator, Field, Tag

from mtkd_cli.recipe.limits import Limits


def as_tuple(value: Any) -> Any:
    """Return the items of a list, or a single value, as a tuple."""
    return tuple(value) if isinstance(value, list | tuple) else (value,)


Share = Annotated[float, Field(ge=0, lt=1)]
Rate = Annotated[float, Limits(0, 1000, "training would diverge")]
Candidates = Annotated[tuple[Rate, ...], BeforeValidator(as_tuple), Field(min_length=1, max_length=100)]
"""One value, or several; validation selects one of them."""

BatchSize = Annotated[int, Limits(1, 1_000_000, "a batch must fit into memory")]
Epochs = Annotated[int, Limits(1, 1_000_000, "the training would not end")]
ImageSize = Annotated[int, Limits(1, 4096, "larger images do not fit into memory")]
PixelValue = Annotated[float, Limits(-1e6, 1e6, "pixels are smaller", "pixels are larger")]
Deviation = Annotated[float, Limits(1e-6, 1e6, "pixels are smaller", "pixels are divided by it")]
Samples = Annotated[int, Limits(2, 1_000_000_000, "no data set is so large")]
Seed = Annotated[int, Limits(0, 2**63 - 1, "a seed has 63 bits")]
Temperature = Annotated[
    float, Limits(0.001, 1000, "all classes would be equally likely", "it divides logits")
]
Weight = Annotated[float, Limits(0, 1e6, "weights are relative; use smaller ones for the others")]


Value = TypeVar("Value")
if TYPE_CHECKING:
    OrAuto = Annotated[Value, "a value after the data are loaded, see mtkd_cli.runs.automatic"]
else:

    class OrAuto:
        """A value, or ``auto`` in a recipe file. A run replaces ``auto`` before its first phase."""

        def __class_getitem__(cls, item: Any) -> Any:
            value = Annotated[item, Tag("[value]")]
            return Annotated[value | Annotated[Literal["auto"], Tag("[auto]")], Discriminator(_branch)]


def _branch(value: object) -> str:
    return "[auto]" if is_auto(value) else "[value]"


AUTO: Any = "auto"


def is_auto(value: object) -> bool:
    """Whether a value is ``auto``, so that the run selects it from the data."""
    return isinstance(value, str) and value == AUTO
