"""``mtkd search``: find the best student within a latency and a size."""

from __future__ import annotations

from typing import Annotated

import typer

from mtkd_cli.cli import console
from mtkd_cli.cli.baseline_option import Baseline, NoBaseline, baseline_of
from mtkd_cli.cli.common_options import Device, Json, Recipe, Threads
from mtkd_cli.cli.completion import complete_override
from mtkd_cli.cli.recipe_argument import TrustCode, TrustPickle
from mtkd_cli.cli.verify_option import Extent, Verify
from mtkd_cli.distributed import signals
from mtkd_cli.runs.baseline_choice import BaselineChoice


def search(
    recipe: Recipe,
    overrides: Annotated[
        list[str] | None,
        typer.Argument(
            autocompletion=complete_override,
            metavar="KEY=VALUE...",
            help="Changes of the recipe, e.g. train.epochs=20",
        ),
    ] = None,
    students: Annotated[
        str,
        typer.Option(help="Students, separated by commas, e.g. timm:resnet18,timm:mobilenetv3_small_100."),
    ] = "",
    latency: Annotated[
        str, typer.Option(help="Largest median latency of one sample on this machine, e.g. 2ms.")
    ] = "",
    size: Annotated[str, typer.Option(help="Largest size of the weights, e.g. 1MB.")] = "",
    name: Annotated[
        str,
        typer.Option(help="Name of the search and of the run of its pick. Default: derived from the recipe."),
    ] = "",
    baseline: Baseline = None,
    no_baseline: NoBaseline = False,
    device: Device = "auto",
    threads: Threads = 0,
    verify: Verify = Extent.SAMPLE,
    trust_pickle: TrustPickle = None,
    trust_code: TrustCode = False,
    as_json: Json = False,
) -> None:
    """Find the best student within a latency and a size.

    Measures each student on this machine and rejects those over the budget before any training. The others
    are trained on the recorded outputs of the teachers by successive halving. The best one on validation
    gets a run of its own. Without --baseline it has no baselines. A stopped search resumes when the command
    is repeated.
    """
    with console.report_errors(as_json), signals.handle():
        from mtkd_cli.cli.render.search import search as run

        choice = baseline_of(baseline, no_baseline) or BaselineChoice.NONE
        run(
            recipe,
            overrides or [],
            students,
            (latency, size),
            name,
            device,
            threads,
            choice,
            trust_pickle or [],
            trust_code,
            verify is Extent.ALL,
            as_json,
        )
