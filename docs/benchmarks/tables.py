"""Tables of benchmarks: what was run, with what, and what came out."""

from __future__ import annotations

import importlib.metadata
import math
import os
import platform
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from scipy.stats import t


def spread(values: Sequence[float], digits: str = ".4f") -> str:
    """Return mean and standard deviation; one value has no deviation.

    Args:
        values: the values.
        digits: format of the mean, e.g. ``.4f`` or ``+.2f``.
    """
    deviation = f"{statistics.stdev(values):{digits.lstrip('+')}}" if len(values) > 1 else "-"
    return f"{statistics.mean(values):{digits}} ± {deviation}"


def interval(differences: Sequence[float]) -> tuple[float, float]:
    """Return the 95 % interval of the mean of paired differences; NaN for one difference."""
    if len(differences) < 2:
        return math.nan, math.nan
    half = t.ppf(0.975, len(differences) - 1) * statistics.stdev(differences) / len(differences) ** 0.5
    mean = statistics.mean(differences)
    return mean - half, mean + half


def versions() -> str:
    names = ("mtkd", "torch", "numpy")
    found = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in names)
    return f"{found}, Python {platform.python_version()}, {os.cpu_count()} cores, {platform.machine()}"


def markdown(header: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)


def write(
    path: Path, title: str, command: str, header: Sequence[str], rows: Sequence[Sequence[Any]], note: str
) -> None:
    table = markdown(header, rows)
    path.write_text(f"# {title}\n\n```\n{command}\n```\n\n{versions()}\n\n{table}\n\n{note}\n")
