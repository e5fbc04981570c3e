"""``mtkd version``: print the version."""

from __future__ import annotations

import typer

from mtkd_cli import __version__
from mtkd_cli.cli import console
from mtkd_cli.cli.common_options import Json


def version(as_json: Json = False) -> None:
    """Print the version.

    Loads no plugin. The same as mtkd --version.
    """
    if as_json:
        console.print_json({"version": __version__})
    else:
        typer.echo(f"mtkd {__version__}")
