"""``mtkd plugins``: what is installed and what is wrong with it; new ones; the checks."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mtkd_cli.cli import console
from mtkd_cli.cli.common_options import Json
from mtkd_cli.cli.tables import table

if TYPE_CHECKING:
    from mtkd_cli.plugin.registry import Plugin

STYLES = {"ok": "green", "slow": "yellow", "broken": "bold red", "blocked": "yellow", "not checked": "yellow"}

plugins = typer.Typer(name="plugins", help="List plugins, write new ones, check them.")


@plugins.callback(invoke_without_command=True)
def listing(context: typer.Context, as_json: Json = False) -> None:
    """List the installed plugins, broken and blocked ones too; or write and check them."""
    if context.invoked_subcommand:
        return
    with console.errors_shown(as_json):
        from mtkd_cli.plugin.registry import installed

        registry = installed()
        if as_json:
            console.out_json([{**asdict(plugin), "remedy": plugin.remedy} for plugin in registry.plugins])
            return

        columns = ["plugin", "distribution", "version", "status", "loaded in", "registers"]
        rows = [
            [
                p.name,
                p.distribution,
                p.version,
                console.cell(_status(p), STYLES[_status(p)]),
                "-" if p.status == "blocked" else f"{p.seconds * 1000:.0f} ms",
                _registers(p),
            ]
            for p in registry.plugins
        ]
        console.out(table(rows, columns, whole=("distribution", "version", "status", "loaded in")))
        console.warn(registry.warnings() + [_slowness(p) for p in registry.plugins if p.heavy])


@plugins.command()
def new(
    name: Annotated[str, typer.Argument(help="Name of the distribution, e.g. mtkd-mine.")],
    kind: Annotated[str, typer.Option(help="strategy, teacher, task, data or tracker.")] = "strategy",
    as_json: Json = False,
) -> None:
    """Write a new plugin into a folder of its name: it can be installed, and its test passes."""
    with console.errors_shown(as_json):
        from mtkd_cli.plugin.scaffold import new_plugin

        folder = new_plugin(name, kind, Path())
        if as_json:
            console.out_json({"folder": str(folder), "kind": kind})
            return
        for line in (f"{folder}/ is a {kind} plugin. Next:", f"  mtkd install -e ./{folder}"):
            console.out(console.cell(line))


@plugins.command()
def check(
    name: Annotated[
        str, typer.Argument(help="A name that mtkd list shows (mine, mtkd-mine:mine), or a distribution.")
    ],
    options: Annotated[
        list[str] | None, typer.Argument(metavar="KEY=VALUE...", help="Options, e.g. tau=0.1; model=small.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Check that what a plugin offers keeps the rules that mtkd has for its kind."""
    with console.errors_shown(as_json):
        from mtkd_cli.cli.commands.plugin_check import check_named

        rows = check_named(name, options or [])
        if as_json:
            console.out_json(rows)
        else:
            cells = [
                [r["name"], r["kind"], r["plugin"], console.cell(r["result"], STYLES[r["result"]]), r["said"]]
                for r in rows
            ]
            console.out(table(cells, ["name", "kind", "plugin", "result", "checked on"], whole=("result",)))
        if any(row["result"] == "broken" for row in rows):
            raise typer.Exit(1)


def _status(plugin: Plugin) -> str:
    return "slow" if plugin.heavy else plugin.status


def _slowness(plugin: Plugin) -> str:
    return (
        f"plugin {plugin.name!r} of {plugin.distribution} {plugin.version} slows every command: "
        f"{', '.join(plugin.heavy)} is imported whenever it is listed"
    )


def _registers(plugin: Plugin) -> str:
    """Return what a plugin offers, by kind: ``strategies: mean, weighted; commands``."""
    kinds: dict[str, list[str]] = {}
    for item in plugin.registers:
        kind, _, name = item.partition(":")
        kinds.setdefault(kind, []).append(name)
    return "; ".join(f"{kind}: {', '.join(names)}".removesuffix(": ") for kind, names in kinds.items())
