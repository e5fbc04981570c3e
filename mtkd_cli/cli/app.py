"""The root of the command line. Importing it imports neither torch nor pydantic."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from mtkd_cli import __version__
from mtkd_cli.cli import console
from mtkd_cli.cli.distill import distill
from mtkd_cli.cli.init import init
from mtkd_cli.cli.list import list_
from mtkd_cli.cli.plugins import plugins
from mtkd_cli.cli.show import show

WITHOUT_PLUGINS = ("--version",)
"""First arguments that load no third-party plugin."""


def create(with_plugins: bool = True) -> typer.Typer:
    """Return the application, with the commands that plugins add."""
    app = typer.Typer(
        name="mtkd",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        help="Distil many teachers into one student.",
    )
    app.callback()(_root)
    app.command()(distill)
    app.command(name="list")(list_)
    app.command()(show)
    app.command()(init)
    app.command()(plugins)
    if with_plugins:
        from mtkd_cli.plugins import discover

        console.warn(discover().add_commands(app))
    return app


def run() -> None:
    """Run the command line on this process's arguments."""
    create(with_plugins=not set(sys.argv[1:2]) & set(WITHOUT_PLUGINS))()


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"mtkd {__version__}")
        raise typer.Exit


def _root(
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks.")] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    console.debug = debug
