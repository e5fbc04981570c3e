"""Create a plugin from a template: a distribution that can be installed and passes its own test."""

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
"""Names of distributions that can be turned into names of a module and a class."""


def new_plugin(name: str, kind: str, parent: Path) -> Path:
    """Write the distribution ``name`` into a new folder of that name, and return the folder.

    Args:
        name: name of the distribution; its entry has the same name without ``mtkd-``.
        kind: one of `KINDS`.
        parent: parent of the new folder.

    Raises:
        UsageError: the kind is unknown, the name is invalid or taken, or the folder exists.
        DataError: the folder cannot be written.
    """
    if kind not in KINDS:
        raise UsageError(f"unknown kind {kind!r}", where="--kind", hint=nearest_or_all(kind, KINDS))
    if not NAME.fullmatch(name):
        raise UsageError(
            f"invalid distribution name {name!r}",
            hint="use words of letters and digits that start with a letter, joined by '-', e.g. mtkd-mine",
        )
    module = re.sub(r"[-_.]+", "_", name).lower()
    if importlib.util.find_spec(module) is not None:
        raise UsageError(f"the module {module!r} exists already", hint="choose another name, e.g. mtkd-mine")
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
            f"cannot write the plugin: {error.strerror}", str(folder), "choose another folder"
        ) from error
    return folder
