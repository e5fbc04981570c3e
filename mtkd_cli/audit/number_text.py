"""Numbers and intervals in sentences."""

from __future__ import annotations

import math
from collections.abc import Sequence

from mtkd_cli.stats.estimate import Estimate

FLAT = 1e-3
"""Size below which four decimals show too few digits."""
SHOWN = 4
"""Names that a sentence lists at most."""


def digits(value: float) -> str:
    """Return the format of a number by its size: four decimals of a share, two of an error of 54.02."""
    if abs(value) >= 10:
        return ".2f"
    return ".4f" if abs(value) >= FLAT or not value else ".4g"


def span(found: Estimate, sign: str = "") -> str:
    """Return ``0.8712 (0.8512 to 0.8901)``; ``sign``: ``+`` writes it of positive numbers too."""
    if not math.isfinite(found.low):
        return f"{found.value:{sign}{digits(found.value)}}"
    kind = sign + digits(max(found.value, found.low, found.high, key=abs))
    return f"{found.value:{kind}} ({found.low:{kind}} to {found.high:{kind}})"


def percent(share: float) -> str:
    """Return ``97 %``; ``0.4 %`` and ``99.6 %`` near the ends."""
    digits_ = 1 if 0 < share < 0.01 or 0.99 < share < 1 else 0
    return f"{100 * share:.{digits_}f} %"


def join_names(names: Sequence[str]) -> str:
    """Return names for a sentence: ``a, b, c, d and 3 more``."""
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more
