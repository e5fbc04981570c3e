"""``mtkd doctor``: what is not well before a run is started."""

from __future__ import annotations

from typing import Annotated

import typer

from mtkd_cli.cli import console
from mtkd_cli.cli.common_options import Json
from mtkd_cli.cli.recipe_argument import TrustCode, TrustPickle, parts_of, refuse_without_recipe

STYLES = {"ok": "green", "warn": "yellow", "fail": "bold red"}


def doctor(
    recipe: Annotated[str, typer.Argument(help="A recipe to check, too: file or built-in name.")] = "",
    overrides: Annotated[
        list[str] | None, typer.Argument(metavar="KEY=VALUE...", help="e.g. data.path=mine")
    ] = None,
    trust_pickle: TrustPickle = None,
    trust_code: TrustCode = False,
    as_json: Json = False,
) -> None:
    """Check the environment, and a recipe's data and teachers. Changes nothing; exit code 3 on a fault."""
    with console.errors_shown(as_json):
        refuse_without_recipe(recipe, trust_pickle, trust_code)

        from mtkd_cli.cli.tables import table
        from mtkd_cli.doctor.environment import environment
        from mtkd_cli.doctor.recipe import recipe as of_recipe
        from mtkd_cli.plugin.registry import installed
        from mtkd_cli.safe_loading.stdout import stdout_on_stderr

        parts = parts_of(recipe, overrides or [], trust_pickle, trust_code) if recipe else None
        with stdout_on_stderr():
            findings = environment(installed())
            findings += of_recipe(parts) if parts else []
        if as_json:
            console.out_json({"findings": [finding.as_dict() for finding in findings]})
        else:
            rows = [
                [
                    f.check,
                    console.cell(f.status, STYLES[f.status]),
                    f"{f.found}{f'. Do: {f.hint}' if f.hint else ''}",
                ]
                for f in findings
            ]
            console.out(table(rows, ["check", "", "found"], whole=("",)))
        if any(finding.status == "fail" for finding in findings):
            raise typer.Exit(3)
