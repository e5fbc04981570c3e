"""``mtkd plugins``: what is installed, and what is wrong with it."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from mtkd_cli.cli import console
from mtkd_cli.cli.tables import table

if TYPE_CHECKING:
    from mtkd_cli.plugins import Plugin

STYLES = {"ok": "green", "broken": "bold red", "blocked": "yellow"}


def plugins(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON on stdout, nothing else.")] = False,
) -> None:
    """List the installed plugins, broken and blocked ones too."""
    with console.errors_shown(as_json):
        from mtkd_cli.plugins import installed

        registry = installed()
        if as_json:
            console.out_json([{**asdict(plugin), "remedy": plugin.remedy} for plugin in registry.plugins])
            return

        columns = ["plugin", "distribution", "version", "status", "registers"]
        rows = [
            [p.name, p.distribution, p.version, console.cell(p.status, STYLES[p.status]), _registers(p)]
            for p in registry.plugins
        ]
        console.out(table(rows, columns, whole=("distribution", "version", "status")))
        console.warn(registry.warnings())


def _registers(plugin: Plugin) -> str:
    """Return what a plugin offers, by kind: ``strategies: mean, weighted; commands``."""
    kinds: dict[str, list[str]] = {}
    for item in plugin.registers:
        kind, _, name = item.partition(":")
        kinds.setdefault(kind, []).append(name)
    return "; ".join(f"{kind}: {', '.join(names)}".removesuffix(": ") for kind, names in kinds.items())
