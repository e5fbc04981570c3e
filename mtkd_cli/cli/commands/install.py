"""``mtkd install`` and ``mtkd uninstall``: plugins, by the running interpreter's pip."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from mtkd_cli.cli import console
from mtkd_cli.cli.common_options import Json

PASSED_ON = {"ignore_unknown_options": True}
"""What is no option of ours is pip's."""


def install(
    packages: Annotated[
        list[str],
        typer.Argument(
            metavar="PACKAGE",
            help="Names, versions (mtkd-mine>=1.2), wheels or folders; and options of pip: -e, --upgrade, "
            "--no-deps, --index-url …",
        ),
    ],
    as_json: Json = False,
) -> None:
    """Install plugins, and say what became available. Loads no other plugin."""
    with console.errors_shown(as_json):
        from mtkd_cli.plugin import install as installer

        new = installer.install(packages)
        offers = installer.offers_of(new) if new else []
        if as_json:
            console.out_json({"installed": new, "plugins": offers})
            return
        for line in _said(new, offers):
            console.out(console.cell(line))


def uninstall(
    packages: Annotated[list[str], typer.Argument(metavar="PACKAGE", help="Distributions with plugins.")],
    as_json: Json = False,
) -> None:
    """Remove plugins, broken ones too. Loads no plugin."""
    with console.errors_shown(as_json):
        from mtkd_cli.plugin import install as installer

        gone = installer.uninstall(packages)
        if as_json:
            facts = [{"name": p.name, "distribution": p.distribution, "version": p.version} for p in gone]
            console.out_json({"uninstalled": facts})
            return
        for plugin in gone:
            console.out(console.cell(f"gone: {plugin.distribution} {plugin.version} (plugin {plugin.name})"))


def _said(new: list[str], offers: list[dict[str, Any]]) -> list[str]:
    if not new:
        return ["Nothing to do: it is installed already (--upgrade or --force-reinstall does it again)."]
    lines = []
    for row in offers:
        whose = f"{row['distribution']} {row['version']}"
        if row["status"] == "broken":
            lines.append(f"{whose} is installed, but broken: {row['error']} (remove it: {row['remedy']})")
        else:
            kinds = [item.replace(":", " ", 1) for item in row["registers"]]
            lines.append(f"{whose} offers: {', '.join(kinds) or 'nothing'}")
    others = sorted(set(new) - {row["distribution"] for row in offers})
    if others:
        lines.append(f"Also installed, without plugins of mtkd: {', '.join(others)}")
    return lines
