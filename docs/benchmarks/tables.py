"""Tables of benchmarks: what was run, with what, and what came out."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

T_975 = {1: 12.706, 2: 4.303, 3: 3.182, 4: 2.776, 5: 2.571, 6: 2.447, 7: 2.365, 8: 2.306, 9: 2.262}
"""Student's t, 97.5 % quantile, by degrees of freedom."""


def interval(differences: Sequence[float]) -> tuple[float, float]:
    """Return the 95 % interval of the mean of paired differences."""
    half = T_975[len(differences) - 1] * statistics.stdev(differences) / len(differences) ** 0.5
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
