"""Names of result folders: ``runs/NAME``, ``audits/NAME``, ``comparisons/NAME``."""

from __future__ import annotations

import datetime
from pathlib import Path

from mtkd_cli.errors import UsageError
from mtkd_cli.files import atomic
from mtkd_cli.specs import NAME


def is_valid(name: str) -> bool:
    """Whether a result folder can have this name."""
    return NAME.fullmatch(name) is not None


def folder_of(root: Path, name: str) -> Path:
    """Return the folder of a name in ``root``.

    Raises:
        UsageError: the name is invalid.
    """
    if not is_valid(name):
        raise UsageError(
            f"invalid name {name!r}",
            where="--name",
            hint="use letters A to Z, digits, '.', '_' and '-', beginning with a letter or digit, "
            "100 characters at most",
        )
    return root / name


def create(root: Path, name: str) -> Path:
    """Create the folder of a name.

    Raises:
        UsageError: the name is taken or invalid.
        DataError: the folder cannot be created.
    """
    folder = folder_of(root, name)
    try:
        folder.mkdir(parents=True)
    except FileExistsError as error:
        raise UsageError(f"{folder} exists", where="--name", hint="choose another name") from error
    except OSError as error:
        raise atomic.disk_error(error, folder) from error
    return folder


def default_name(root: Path, recipe_name: str) -> str:
    """Return a valid name made of the time and the recipe's name, free at this moment."""
    stamp = datetime.datetime.now().strftime("%Y%m%d-%H%M%S")
    first = name = f"{stamp}-{valid_part(recipe_name)}"
    number = 2
    while (root / name).exists():
        name, number = f"{first}-{number}", number + 1
    return name


def valid_part(text: str) -> str:
    """Return a valid name of at most 60 characters made of any text; '-' replaces invalid characters."""
    replaced = "".join(c if c.isascii() and (c.isalnum() or c in "._-") else "-" for c in text)
    return replaced.lstrip("._-")[:60] or "recipe"
