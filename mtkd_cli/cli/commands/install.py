"""``mtkd install`` and ``mtkd uninstall``: manage plugins with the running interpreter's pip."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from mtkd_cli.cli import console
from mtkd_cli.cli.common_options import Json

FORWARD_OPTIONS = {"ignore_unknown_options": True}
"""Unknown options are forwarded to pip."""


Verbose = Annotated[
    bool, typer.Option("--verbose", help="Show the output of pip. Default: only if pip fails.")
]


def install(
    packages: Annotated[
        list[str],
        typer.Argument(
            metavar="PACKAGE",
            help="Names, versions (mtkd-mine>=1.2), wheels or folders, and options of pip: -e, --upgrade, "
            "--no-deps, --index-url …",
        ),
    ],
    verbose: Verbose = False,
    as_json: Json = False,
) -> None:
    """Install plugins.

    Lists what they offer. Loads no other plugin.
    """
    with console.report_errors(as_json):
        from mtkd_cli.plugin import install as installer

        if not (as_json or verbose):
            console.print_status(f"installing {' '.join(packages)} with pip")
        new = installer.install(packages, verbose)
        offers = installer.offers_of(new) if new else []
        console.warn(installer.taken_names(offers))
        if as_json:
            console.print_json({"installed": new, "plugins": offers})
            return
        for line in _summarize(new, offers):
            console.print_result(console.cell(line))


def uninstall(
    packages: Annotated[
        list[str], typer.Argument(metavar="PACKAGE", help="Names of distributions with plugins.")
    ],
    verbose: Verbose = False,
    as_json: Json = False,
) -> None:
    """Uninstall plugins.

    Loads no plugin, so a broken one can be uninstalled.
    """
    with console.report_errors(as_json):
        from mtkd_cli.plugin import install as installer

        removed = installer.uninstall(packages, verbose)
        if as_json:
            rows = [{"name": p.name, "distribution": p.distribution, "version": p.version} for p in removed]
            console.print_json({"uninstalled": rows})
            return
        for p in removed:
            console.print_result(console.cell(f"uninstalled {p.distribution} {p.version} (plugin {p.name})"))


def _summarize(new: list[str], offers: list[dict[str, Any]]) -> list[str]:
    if not new:
        return ["Already installed. Use --upgrade or --force-reinstall to install again."]
    lines = []
    for row in offers:
        owner = f"{row['distribution']} {row['version']}"
        if row["status"] == "broken":
            fault = ": ".join(filter(None, (row["location"], row["error"])))
            lines.append(f"{owner} is installed, but broken: {fault} (remove it: {row['remedy']})")
        else:
            kinds = [item.replace(":", " ", 1) for item in row["registers"]]
            lines.append(f"{owner} offers: {', '.join(kinds) or 'nothing'}")
    others = sorted(set(new) - {row["distribution"] for row in offers})
    if others:
        lines.append(f"Also installed, without mtkd plugins: {', '.join(others)}")
    return lines
