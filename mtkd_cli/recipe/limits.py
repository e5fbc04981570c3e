"""Smallest and largest values of numbers in a recipe, with the reason."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pydantic_core import CoreSchema, core_schema


@dataclass(frozen=True)
class Limits:
    """Smallest and largest value of a number, and why; the message of another number has the reason.

    Values that are not numbers (``auto``) pass: another part of the field's type checks them.

    Attributes:
        low: smallest value.
        high: largest value.
        too_high: why larger values do not work, as the end of the message; empty if that is clear.
        too_low: why smaller values do not work; empty if that is clear.
    """

    low: float
    high: float
    too_high: str = ""
    too_low: str = ""

    def check(self, value: Any) -> Any:
        """Return the value unchanged.

        Raises:
            ValueError: it is a number outside the limits.
        """
        if isinstance(value, int | float) and value < self.low:
            raise ValueError(f"must be at least {_shown(self.low)}: {self.too_low}".removesuffix(": "))
        if isinstance(value, int | float) and value > self.high:
            raise ValueError(f"must be at most {_shown(self.high)}: {self.too_high}".removesuffix(": "))
        return value

    def __get_pydantic_core_schema__(self, source: Any, handler: Callable[[Any], CoreSchema]) -> CoreSchema:
        """Check the value after pydantic's own checks."""
        return core_schema.no_info_after_validator_function(self.check, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: Callable[..., Any]) -> dict[str, Any]:
        """Tell editors the limits."""
        return {**handler(schema), "minimum": self.low, "maximum": self.high}


def _shown(limit: float) -> str:
    """Return a limit in words: ``1,000,000``, ``0.001``."""
    return f"{int(limit):,}" if limit == int(limit) else f"{limit:g}"
