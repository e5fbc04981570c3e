"""Warnings about former keys of options."""

from __future__ import annotations

from mtkd_cli.recipe.resolve import Resolved


def former_keys(parts: Resolved) -> list[str]:
    """Return one warning for each former key in a recipe."""
    recipe = parts.recipe
    sections = [("task", recipe.task, parts.task), ("data", recipe.data, parts.data)]
    sections += [("strategy", recipe.strategy, parts.strategy)]
    sections += [
        (f"trackers.{index}", plug, part)
        for index, (plug, part) in enumerate(zip(recipe.trackers, parts.trackers, strict=True))
    ]
    return [
        f"{section}.{alias} is now called {option.name}; the former key still works"
        for section, plug, part in sections
        for option in part.spec.options
        for alias in option.aliases
        if alias in plug.options
    ]
