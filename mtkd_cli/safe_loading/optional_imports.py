"""Check that an optional dependency is installed before it is used."""

from __future__ import annotations

from importlib.util import find_spec

from mtkd_cli.errors import DataError


def need(module: str, extra: str, where: str) -> None:
    """Raise if a module is not installed.

    Args:
        module: name of the module.
        extra: extra of mtkd that installs it.
        where: file or recipe key that needs it, for the message.

    Raises:
        DataError: the module is not installed; the hint is the command that installs it.
    """
    if find_spec(module) is None:
        raise DataError(f"{module} is required but not installed", where, f"pip install 'mtkd[{extra}]'")
