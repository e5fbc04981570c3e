"""``mtkd plugins``: what is installed, and what is wrong with it."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from mtkd_cli.cli import console


def plugins(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON on stdout, nothing else.")] = False,
) -> None:
    """List the installed plugins, broken and blocked ones too."""
    with console.errors_shown(as_json):
        from mtkd_cli.plugins import discover

        registry = discover()
        if as_json:
            console.out_json([{**asdict(plugin), "remedy": plugin.remedy} for plugin in registry.plugins])
            return

        from rich.table import Table
        from rich.text import Text

        table = Table(header_style="bold", show_edge=False, pad_edge=False)
        for column in ("plugin", "distribution", "version", "status", "registers", "load time"):
            table.add_column(column, overflow="fold")
        for plugin in registry.plugins:
            style = {"ok": "green", "broken": "bold red", "blocked": "yellow"}[plugin.status]
            table.add_row(
                Text(plugin.name),
                Text(plugin.distribution),
                plugin.version,
                Text(plugin.status, style=style),
                Text(", ".join(plugin.registers)),
                f"{1000 * plugin.seconds:.0f} ms",
            )
        console.out(table)
        console.warn(registry.warnings())
