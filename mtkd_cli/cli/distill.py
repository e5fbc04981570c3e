"""``mtkd distill``: the main job."""

from __future__ import annotations

from typing import Annotated

import typer

from mtkd_cli.cli import console
from mtkd_cli.cli.reading import parts_of

Json = Annotated[bool, typer.Option("--json", help="Print JSON on stdout, nothing else.")]


def distill(
    recipe: Annotated[str, typer.Argument(help="A recipe file, or the name of a built-in recipe.")],
    overrides: Annotated[
        list[str] | None, typer.Argument(metavar="KEY=VALUE...", help="e.g. train.epochs=3 strategy=mean")
    ] = None,
    name: Annotated[str, typer.Option(help="Name of the run. Default: the time and the recipe's name.")] = "",
    baseline: Annotated[
        bool, typer.Option("--baseline/--no-baseline", help="Train the student alone too.")
    ] = True,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the resolved recipe and the plan; train nothing.")
    ] = False,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    threads: Annotated[int, typer.Option(min=0, help="CPU threads; 0: as many as torch takes.")] = 0,
    as_json: Json = False,
) -> None:
    """Distil a recipe's teachers into its student, and say whether it paid."""
    with console.errors_shown(as_json):
        parts, recipe_name = parts_of(recipe, overrides or [])

        from mtkd_cli.cli.distilling import distil, plan

        if dry_run:
            plan(parts, device, threads, baseline, as_json)
        else:
            distil(parts, name, recipe_name, device, threads, baseline, as_json)
