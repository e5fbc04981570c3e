"""What an extra of mtkd brings, asked for before it is used."""

from __future__ import annotations

from importlib.util import find_spec

from mtkd_cli.errors import DataError


def need(module: str, extra: str, where: str) -> None:
    """Do nothing if a module is installed.

    Raises:
        DataError: it is not; the hint is the line that installs it.
    """
    if find_spec(module) is None:
        raise DataError(f"it needs {module}, which is not installed", where, f"pip install 'mtkd[{extra}]'")
