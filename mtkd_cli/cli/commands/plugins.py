"""``mtkd plugins``: list, create and check plugins."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mtkd_cli.cli import console
from mtkd_cli.cli.application import Application
from mtkd_cli.cli.common_options import Json
from mtkd_cli.cli.tables import table

if TYPE_CHECKING:
    from mtkd_cli.plugin.registry import Plugin

STYLES = {"ok": "green", "slow": "yellow", "broken": "bold red", "blocked": "yellow", "not checked": "yellow"}

plugins = Application(name="plugins", help="List, create and check plugins.")


@plugins.callback(invoke_without_command=True)
def listing(context: typer.Context, as_json: Json = False) -> None:
    """List, create and check plugins.

    Without a command, lists all installed plugins, broken and blocked ones included.
    """
    if context.invoked_subcommand:
        return
    with console.report_errors(as_json):
        from mtkd_cli.plugin.registry import load_registry

        registry = load_registry()
        if as_json:
            console.print_json([{**asdict(plugin), "remedy": plugin.remedy} for plugin in registry.plugins])
            return

        columns = ["plugin", "distribution", "version", "status", "loaded in", "registers"]
        rows = [
            [
                p.name,
                p.distribution,
                p.version,
                console.cell(_status(p), STYLES[_status(p)]),
                "-" if p.status == "blocked" else f"{p.seconds * 1000:.0f} ms",
                _describe_entries(p),
            ]
            for p in registry.plugins
        ]
        console.print_result(table(rows, columns, whole=("distribution", "version", "status", "loaded in")))
        console.warn(registry.warnings() + [_slow_warning(p) for p in registry.plugins if p.heavy])


@plugins.command()
def new(
    name: Annotated[str, typer.Argument(help="Name of the distribution, e.g. mtkd-mine.")],
    kind: Annotated[str, typer.Option(help="Kind: strategy, teacher, task, data or tracker.")] = "strategy",
    as_json: Json = False,
) -> None:
    """Create a plugin from a template.

    Writes a folder with the plugin's name. The plugin can be installed, and its test passes.
    """
    with console.report_errors(as_json):
        from mtkd_cli.plugin.scaffold import new_plugin

        folder = new_plugin(name, kind, Path())
        if as_json:
            console.print_json({"folder": str(folder), "kind": kind})
            return
        for line in (f"{folder}/ is a {kind} plugin. Next:", f"  mtkd install -e ./{folder}"):
            console.print_result(console.cell(line))


@plugins.command()
def check(
    name: Annotated[
        str, typer.Argument(help="Name from mtkd list (mine or mtkd-mine:mine), or a distribution.")
    ],
    options: Annotated[
        list[str] | None,
        typer.Argument(metavar="KEY=VALUE...", help="Options of the plugin, e.g. tau=0.1 model=small"),
    ] = None,
    as_json: Json = False,
) -> None:
    """Check a plugin against the rules of its kind.

    Exits with 1 if a rule is broken.
    """
    with console.report_errors(as_json):
        from mtkd_cli.cli.commands.plugin_check import check_named

        rows = check_named(name, options or [])
        if as_json:
            console.print_json(rows)
        else:
            cells = [
                [r["name"], r["kind"], r["plugin"], console.cell(r["result"], STYLES[r["result"]]), r["said"]]
                for r in rows
            ]
            console.print_result(
                table(cells, ["name", "kind", "plugin", "result", "checked on"], whole=("result",))
            )
        if any(row["result"] == "broken" for row in rows):
            raise typer.Exit(1)


def _status(plugin: Plugin) -> str:
    return "slow" if plugin.heavy else plugin.status


def _slow_warning(plugin: Plugin) -> str:
    return (
        f"plugin {plugin.name!r} of {plugin.distribution} {plugin.version} slows every command: "
        f"its module imports {', '.join(plugin.heavy)}"
    )


def _describe_entries(plugin: Plugin) -> str:
    """Return what a plugin offers, by kind: ``strategies: mean, weighted; commands``."""
    kinds: dict[str, list[str]] = {}
    for item in plugin.registers:
        kind, _, name = item.partition(":")
        kinds.setdefault(kind, []).append(name)
    return "; ".join(f"{kind}: {', '.join(names)}".removesuffix(": ") for kind, names in kinds.items())
