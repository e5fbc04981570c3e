"""Read a recipe for a command: find its plugins, warn about what deserves it. Imports no torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from mtkd_cli.cli import console
from mtkd_cli.cli.verify_option import Extent
from mtkd_cli.errors import UsageError

if TYPE_CHECKING:
    from mtkd_cli.recipe.resolve import Resolved

TrustPickle = Annotated[
    list[str] | None,
    typer.Option(
        "--trust-pickle",
        metavar="FILE",
        help="Load this model file although that can run code in it. May be given several times.",
    ),
]

TrustCode = Annotated[
    bool,
    typer.Option(
        "--trust-code",
        help="Run Python code that a finished run names. Your own runs need it only if that code changed.",
    ),
]


def refuse_without_recipe(recipe: str, trust_pickle: Sequence[str] | None, trust_code: bool) -> None:
    """Raise if something is allowed that needs no permission where there is no recipe.

    Raises:
        UsageError: which option that is.
    """
    for option, given in (("--trust-pickle", trust_pickle), ("--trust-code", trust_code)):
        if given and not recipe:
            raise UsageError(f"{option} goes with a recipe", where=option, hint="leave it out")


def parts_of(
    recipe: str,
    overrides: Sequence[str],
    trusted: Sequence[str] | None = None,
    trust_code: bool = False,
    verify: Extent = Extent.SAMPLE,
) -> Resolved:
    """Return the parts of a recipe, with warnings on stderr; arguments as `mtkd_cli.recipe.load` has them."""
    from mtkd_cli.recipe.load import load

    parts = load(recipe, overrides, trust_pickle=trusted or (), trust_code=trust_code, warn=console.warn)
    return replace(parts, verify_all=verify is Extent.ALL)


def recipe_of_run(run: str) -> tuple[str, str]:
    """Return the name of a run, given that or its folder, and the path of its recipe.

    Raises:
        UsageError: no such run, or one that was stopped before it began.
    """
    from pathlib import Path

    from mtkd_cli.errors import nearest
    from mtkd_cli.runs.names import is_valid

    runs = Path("runs")
    name = Path(run).name if Path(run).parent == runs else run
    path = runs / name / "recipe.yaml"
    if not is_valid(name) or not path.is_file():
        known = [folder.name for folder in runs.iterdir()] if runs.is_dir() else []
        raise UsageError(
            f"no resumable run named {name!r}",
            where="--resume",
            hint=nearest(name, known) or "start it: mtkd distill RECIPE --name NAME",
        )
    return name, str(path)
