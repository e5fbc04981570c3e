"""``mtkd audit``: measure the teachers before training."""

from __future__ import annotations

from typing import Annotated

import typer

from mtkd_cli.cli import console
from mtkd_cli.cli.common_options import Json, Recipe, Threads
from mtkd_cli.cli.completion import complete_override
from mtkd_cli.cli.recipe_argument import TrustCode, TrustPickle, parts_of
from mtkd_cli.cli.verify_option import Extent, Verify
from mtkd_cli.distributed import signals


def audit(
    recipe: Recipe,
    overrides: Annotated[
        list[str] | None,
        typer.Argument(
            autocompletion=complete_override, metavar="KEY=VALUE...", help="e.g. strategy=confidence"
        ),
    ] = None,
    name: Annotated[
        str, typer.Option(help="Name of the audit. Default: the time and the recipe's name.")
    ] = "",
    device: Annotated[
        str, typer.Option(help="Device: auto, cpu or cuda. Used to record missing outputs.")
    ] = "auto",
    threads: Threads = 0,
    verify: Verify = Extent.SAMPLE,
    trust_pickle: TrustPickle = None,
    trust_code: TrustCode = False,
    as_json: Json = False,
) -> None:
    """Measure a recipe's teachers on validation.

    Reports each teacher's quality, where teachers disagree, and the score of the ensemble for each strategy.
    """
    with console.report_errors(as_json), signals.handle():
        parts = parts_of(recipe, overrides or [], trust_pickle, trust_code, verify)

        from mtkd_cli.cli.render.audit import run

        run(parts, name, device, threads, as_json)
