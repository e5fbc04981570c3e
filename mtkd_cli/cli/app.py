"""The root of the command line. Importing it imports neither torch nor pydantic."""

from __future__ import annotations

import itertools
import sys
from typing import Annotated

import typer

from mtkd_cli import __version__
from mtkd_cli.cli import completion, console, streams, unexpected
from mtkd_cli.cli.application import Application
from mtkd_cli.cli.commands.audit import audit
from mtkd_cli.cli.commands.compare import compare
from mtkd_cli.cli.commands.distill import distill
from mtkd_cli.cli.commands.doctor import doctor
from mtkd_cli.cli.commands.evaluate import evaluate
from mtkd_cli.cli.commands.export import export
from mtkd_cli.cli.commands.init import init
from mtkd_cli.cli.commands.install import FORWARD_OPTIONS, install, uninstall
from mtkd_cli.cli.commands.list import list_
from mtkd_cli.cli.commands.plugins import plugins
from mtkd_cli.cli.commands.predict import predict
from mtkd_cli.cli.commands.record import record
from mtkd_cli.cli.commands.report import report
from mtkd_cli.cli.commands.samples import samples
from mtkd_cli.cli.commands.search import search
from mtkd_cli.cli.commands.show import show
from mtkd_cli.cli.commands.store import store
from mtkd_cli.cli.commands.version import version
from mtkd_cli.distributed import signals
from mtkd_cli.errors import UsageError

WITHOUT_PLUGINS = ("--version", "version", "install", "uninstall")
"""Options and commands for which no third-party plugin is loaded."""


def create(with_plugins: bool = True) -> typer.Typer:
    """Return the application.

    Args:
        with_plugins: whether to add the commands of plugins.
    """
    app = Application(
        name="mtkd",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        help="Distill many teachers into one student.",
    )
    app.callback()(_root)
    app.command()(distill)
    app.command()(record)
    app.command()(evaluate)
    app.command()(export)
    app.command()(predict)
    app.command()(report)
    app.command()(audit)
    app.command()(compare)
    app.command()(search)
    app.command(name="list")(list_)
    app.command()(show)
    app.command()(init)
    app.command()(doctor)
    app.command()(samples)
    app.add_typer(plugins)
    app.command(context_settings=FORWARD_OPTIONS)(install)
    app.command()(uninstall)
    app.add_typer(store)
    app.command()(version)
    if with_plugins:
        from mtkd_cli.plugin.registry import load_registry

        failed = load_registry().add_commands(app)
        if not completion.is_active():
            console.warn(failed)
    return app


def run() -> None:
    """Run the command line with the arguments of this process."""
    streams.prepare()
    arguments = sys.argv[1:]
    options = list(itertools.takewhile(lambda argument: argument.startswith("-"), arguments))
    command = arguments[len(options) : len(options) + 1]
    as_json = "--json" in sys.argv
    try:
        with console.report_errors(as_json):
            signals.started()
            unexpected.require_working_directory()
            app = create(with_plugins=not {*options, *command} & set(WITHOUT_PLUGINS))
            if as_json:
                _run_for_json(app)
            app()
    except typer.Exit as stop:
        sys.exit(stop.exit_code)


def _run_for_json(app: typer.Typer) -> None:
    """Run the application and print usage errors as JSON on stdout, too."""
    try:
        sys.exit(app(standalone_mode=False))
    except typer.TyperException as error:
        console.print_error(UsageError(error.format_message(), hint="see mtkd --help"), as_json=True)
        sys.exit(error.exit_code)
    except typer.Abort:
        sys.exit(130)


def _print_version(requested: bool) -> None:
    if requested:
        typer.echo(f"mtkd {__version__}")
        raise typer.Exit


def _root(
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks of errors.")] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    console.debug = debug
