"""Read a recipe for a command: find its plugins, warn about what deserves it. Imports no torch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mtkd_cli.cli import console

if TYPE_CHECKING:
    from mtkd_cli.resolve import Resolved


def parts_of(recipe: str, overrides: list[str]) -> tuple[Resolved, str]:
    """Return the parts of a recipe and its name."""
    from mtkd_cli.plugins import installed
    from mtkd_cli.read_recipe import read
    from mtkd_cli.resolve import local_references, resolve

    registry = installed()
    console.warn(registry.warnings())
    read_recipe, name = read(recipe, overrides, registry)
    console.warn([f"this recipe runs local code: {reference}" for reference in local_references(read_recipe)])
    return resolve(read_recipe, registry, recipe), name
