"""What trackers share: the curve and the numbers of a row, and the check of an extra."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Iterator, Mapping
from typing import Any

from mtkd_cli.errors import DataError

LABELS = ("phase", "candidate", "step")
"""Keys of a row that identify it; all other numbers are plotted."""


def curve_name(row: Mapping[str, Any]) -> str:
    """Return the training that a row belongs to: its phase, and its candidate if there are several."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", " ".join(str(row[key]) for key in LABELS[:2] if key in row))


def numbers_of(row: Mapping[str, Any]) -> dict[str, float]:
    """Return the numbers of a row by name."""
    return {
        name: value
        for name, value in row.items()
        if name not in LABELS and isinstance(value, int | float) and not isinstance(value, bool)
    }


def flatten(values: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield (path, value) for each value of nested mappings and sequences; paths are joined by dots."""
    if isinstance(values, Mapping):
        pairs = [(str(key), value) for key, value in values.items()]
    elif isinstance(values, list | tuple):
        pairs = [(str(index), value) for index, value in enumerate(values)]
    else:
        yield prefix, values
        return
    for key, value in pairs:
        yield from flatten(value, f"{prefix}.{key}" if prefix else key)


def require(module: str, package: str, extra: str) -> None:
    """Check that a tracker's library is installed, before the first epoch.

    Args:
        module: module to import.
        package: name of the library, used in the message.
        extra: extra of mtkd that installs it.

    Raises:
        DataError: it is not installed.
    """
    if importlib.util.find_spec(module) is None:
        hint = f"pip install 'mtkd[{extra}]'"
        raise DataError(f"{package} is not installed", where="trackers", hint=hint)
