"""Write a new plugin: a distribution that can be installed, and passes its own test as written."""

from __future__ import annotations

import importlib.util
import re
from importlib import resources
from pathlib import Path
from string import Template

from mtkd_cli import __version__
from mtkd_cli.errors import DataError, UsageError, nearest_or_all

KINDS = ("strategy", "teacher", "task", "data", "tracker")
NAME = re.compile(r"[a-z][a-z0-9]*([-_.][a-z][a-z0-9]*)*", re.IGNORECASE)
"""A distribution's name of which a module and a class can be made."""


def new_plugin(name: str, kind: str, parent: Path) -> Path:
    """Write the distribution ``name`` into a folder of that name, and return the folder.

    Args:
        name: the distribution's; what it offers is called the same, without ``mtkd-``.
        kind: one of `KINDS`.
        parent: where the folder is made.

    Raises:
        UsageError: a name that cannot be used, or a folder that is there already.
        DataError: the folder cannot be written.
    """
    if kind not in KINDS:
        raise UsageError(f"no kind {kind!r}", where="--kind", hint=nearest_or_all(kind, KINDS))
    if not NAME.fullmatch(name):
        raise UsageError(
            f"{name!r} is no name for a distribution",
            hint="letters and digits, joined by '-'; each part begins with a letter: mtkd-mine",
        )
    module = re.sub(r"[-_.]+", "_", name).lower()
    if importlib.util.find_spec(module) is not None:
        raise UsageError(f"there is a module {module!r} already", hint="choose another name, e.g. mtkd-mine")
    folder = parent / name
    if folder.exists():
        raise UsageError(f"{folder} exists", hint="choose another name, or remove it")
    short = re.sub(r"^mtkd[-_.]", "", name.lower()).replace("_", "-").replace(".", "-")
    values = {
        "distribution": name,
        "module": module,
        "name": short,
        "kind": kind,
        "Class": "".join(part.capitalize() for part in short.split("-")),
        "version": __version__,
    }
    files = {
        "pyproject.toml": "pyproject.toml",
        "README.md": f"README-{kind}.md",
        f"{module}.py": f"{kind}.py",
        f"tests/test_{module}.py": "test.py",
    }
    try:
        for path, template in files.items():
            target = folder / path
            target.parent.mkdir(parents=True, exist_ok=True)
            text = (
                resources.files("mtkd_cli.plugin").joinpath("templates", f"{template}.txt").read_text("utf-8")
            )
            target.write_text(Template(text).substitute(values), encoding="utf-8")
    except OSError as error:
        raise DataError(
            f"it cannot be written: {error.strerror}", str(folder), "choose another place"
        ) from error
    return folder
