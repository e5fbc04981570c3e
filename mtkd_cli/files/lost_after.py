"""How long a process may give no sign of life before others count it as lost."""

from __future__ import annotations

import math
import os

from mtkd_cli.errors import UsageError, short_repr

VARIABLE = "MTKD_LOST_AFTER"
"""Environment variable with the seconds."""
MIN_SECONDS, MAX_SECONDS = 0.2, 86_400.0


def lost_after(default: float) -> float:
    """Return the seconds after which a silent process counts as lost.

    Args:
        default: seconds if the environment variable is not set.

    Raises:
        UsageError: the environment variable is not a number in the allowed range.
    """
    text = os.environ.get(VARIABLE, "")
    if not text:
        return default
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not MIN_SECONDS <= seconds <= MAX_SECONDS:
        raise UsageError(
            f"{VARIABLE} is {short_repr(text)}",
            where=VARIABLE,
            hint=f"set it to seconds from {MIN_SECONDS:g} to {MAX_SECONDS:,.0f}, or unset it",
        )
    return seconds
