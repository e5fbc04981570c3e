"""Load a recipe by file or name, for commands, the API and comparisons."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from mtkd_cli.plugin.registry import Registry, load_registry
from mtkd_cli.recipe.former_keys import former_keys
from mtkd_cli.recipe.reader import read
from mtkd_cli.recipe.resolve import Resolved, local_references, resolve
from mtkd_cli.recipe.trusted_files import check_trusted_files, warnings, with_trusted_files


def load(
    source: str,
    overrides: Sequence[str] = (),
    registry: Registry | None = None,
    *,
    trust_pickle: Iterable[str | Path] = (),
    trust_code: bool = False,
    warn: Callable[[list[str]], None] = lambda lines: None,
) -> Resolved:
    """Read a recipe, find its plugins, and return both.

    Args:
        source: recipe file, or name of a built-in recipe.
        overrides: ``KEY=VALUE``, see `mtkd_cli.recipe.reader.read`.
        registry: available plugins; default: the installed ones.
        trust_pickle: model files that may run code while they are loaded.
        trust_code: whether code that ``run:`` teachers name may run.
        warn: function that receives warnings, one per line, before any local code runs.

    Raises:
        UsageError: no such recipe, or no model is loaded from a trusted file.
        RecipeError: the recipe is invalid; has all its problems.
    """
    plugins = registry or load_registry()
    warn(plugins.warnings())
    recipe, name = read(source, overrides, plugins)
    warn([f"this recipe runs local code: {reference}" for reference in local_references(recipe)])
    parts = replace(resolve(recipe, plugins, source), name=name)
    warn(former_keys(parts))
    files = check_trusted_files(trust_pickle, [parts])
    warn(warnings(files))
    return with_trusted_files(parts, files, trust_code)
