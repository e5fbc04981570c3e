"""``mtkd audit``: measure the teachers before training."""

from __future__ import annotations

from typing import Annotated

import typer

from mtkd_cli.cli import console
from mtkd_cli.cli.recipe_argument import TrustCode, TrustPickle, parts_of


def audit(
    recipe: Annotated[str, typer.Argument(help="A recipe file, or the name of a built-in recipe.")],
    overrides: Annotated[
        list[str] | None, typer.Argument(metavar="KEY=VALUE...", help="e.g. strategy=confidence")
    ] = None,
    name: Annotated[
        str, typer.Option(help="Name of the audit. Default: the time and the recipe's name.")
    ] = "",
    device: Annotated[
        str, typer.Option(help="auto, cpu or cuda; where missing answers are recorded.")
    ] = "auto",
    threads: Annotated[int, typer.Option(min=0, help="CPU threads; 0: as many as torch takes.")] = 0,
    trust_pickle: TrustPickle = None,
    trust_code: TrustCode = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON on stdout, nothing else.")] = False,
) -> None:
    """Measure a recipe's teachers on validation, and what each strategy would make of them."""
    with console.errors_shown(as_json):
        parts = parts_of(recipe, overrides or [], trust_pickle, trust_code)

        from mtkd_cli.cli.render.audit import run

        run(parts, name, device, threads, as_json)
