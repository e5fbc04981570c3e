"""``mtkd doctor``: check the environment and a recipe before a run."""

from __future__ import annotations

from typing import Annotated

import typer

from mtkd_cli.cli import console
from mtkd_cli.cli.common_options import Json
from mtkd_cli.cli.completion import complete_override
from mtkd_cli.cli.recipe_argument import TrustCode, TrustPickle, parts_of, refuse_without_recipe

STYLES = {"ok": "green", "warn": "yellow", "fail": "bold red"}


def doctor(
    recipe: Annotated[str, typer.Argument(help="Recipe to check as well: a file or a built-in name.")] = "",
    overrides: Annotated[
        list[str] | None,
        typer.Argument(autocompletion=complete_override, metavar="KEY=VALUE...", help="e.g. data.path=mine"),
    ] = None,
    trust_pickle: TrustPickle = None,
    trust_code: TrustCode = False,
    as_json: Json = False,
) -> None:
    """Check the environment and a recipe.

    Checks the recipe's data and teachers. Changes nothing. Exits with 3 if a check fails.
    """
    with console.report_errors(as_json):
        refuse_without_recipe(recipe, trust_pickle, trust_code)

        from mtkd_cli.cli.tables import table
        from mtkd_cli.doctor.environment import check_environment
        from mtkd_cli.doctor.recipe import check_recipe
        from mtkd_cli.plugin.registry import load_registry
        from mtkd_cli.safe_loading.stdout import stdout_on_stderr

        parts = parts_of(recipe, overrides or [], trust_pickle, trust_code) if recipe else None
        with stdout_on_stderr():
            findings = check_environment(load_registry())
            findings += check_recipe(parts) if parts else []
        if as_json:
            console.print_json({"findings": [finding.as_dict() for finding in findings]})
        else:
            rows = [
                [
                    f.check,
                    console.cell(f.status, STYLES[f.status]),
                    f"{f.found}{f'. Do: {f.hint}' if f.hint else ''}",
                ]
                for f in findings
            ]
            console.print_result(table(rows, ["check", "", "found"], whole=("",)))
        if any(finding.status == "fail" for finding in findings):
            raise typer.Exit(3)
