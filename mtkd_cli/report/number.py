"""Numbers of a result file: JSON has no NaN."""

from __future__ import annotations

import math
from typing import Annotated, Any

from pydantic import PlainValidator


def _number(value: Any) -> float:
    """Return a number of a file: NaN for null, since an undefined number is written so."""
    if value is None:
        return math.nan
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"{value!r} is not a number")
    return value


Number = Annotated[float, PlainValidator(_number)]
"""A number that may be undefined: NaN here, null in a file."""
