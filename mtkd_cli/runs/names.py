"""A folder of results, made once: ``runs/NAME``, ``audits/NAME``, ``comparisons/NAME``."""

from __future__ import annotations

import datetime
from pathlib import Path

from mtkd_cli.errors import UsageError
from mtkd_cli.files import atomic
from mtkd_cli.recipe.schema import NAME


def named(root: Path, name: str) -> Path:
    """Return the folder of a name.

    Raises:
        UsageError: it is no plain name.
    """
    if not NAME.fullmatch(name):
        raise UsageError(f"{name!r} is no name", where="--name", hint="use letters, digits, '.', '_' and '-'")
    return root / name


def create(root: Path, name: str) -> Path:
    """Make the folder of a name.

    Raises:
        UsageError: the name is taken or is no plain name.
        DataError: the folder cannot be made.
    """
    folder = named(root, name)
    try:
        folder.mkdir(parents=True)
    except FileExistsError as error:
        raise UsageError(f"{folder} exists", where="--name", hint="choose another name") from error
    except OSError as error:
        raise atomic.disk_error(error, folder) from error
    return folder


def default_name(root: Path, of: str) -> str:
    """Return a name made of the time and ``of``, free at this moment."""
    stamp = datetime.datetime.now().strftime("%Y%m%d-%H%M%S")
    name = f"{stamp}-{plain(of)}"
    number = 2
    while (root / name).exists():
        name, number = f"{stamp}-{plain(of)}-{number}", number + 1
    return name


def plain(text: str) -> str:
    """Return the text with everything replaced that a name cannot have."""
    return "".join(c if c.isascii() and (c.isalnum() or c in "._-") else "-" for c in text)[:60]
