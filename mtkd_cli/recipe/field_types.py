"""Field types of the recipe schema."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar

from pydantic import BeforeValidator, Discriminator, Field, Tag


def as_tuple(value: Any) -> Any:
    """Return the items of a list, or a single value, as a tuple."""
    return tuple(value) if isinstance(value, list | tuple) else (value,)


Candidates = Annotated[
    tuple[Annotated[float, Field(ge=0, le=1000)], ...], BeforeValidator(as_tuple), Field(min_length=1)
]
"""One value, or several; validation selects one of them."""

Positive = Annotated[float, Field(gt=0)]
PositiveInt = Annotated[int, Field(ge=1)]
Side = Annotated[int, Field(ge=1, le=65_536)]
"""Height or width of images, in pixels."""
Share = Annotated[float, Field(ge=0, lt=1)]


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
