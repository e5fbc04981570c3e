"""``mtkd compare``: train a grid of students from one recording, or compare finished runs."""

from __future__ import annotations

from typing import Annotated

import typer

from mtkd_cli.cli import console
from mtkd_cli.cli.baseline_option import Baseline, NoBaseline, baseline_of
from mtkd_cli.cli.common_options import Device, Json, Threads
from mtkd_cli.cli.jobs_option import Jobs, jobs_of
from mtkd_cli.cli.number_limits import at_most
from mtkd_cli.cli.recipe_argument import TrustCode, TrustPickle, refuse_without_recipe
from mtkd_cli.cli.verify_option import Extent, Verify
from mtkd_cli.distributed import signals
from mtkd_cli.errors import UsageError
from mtkd_cli.runs.baseline_choice import BaselineChoice


def compare(
    recipe: Annotated[
        str, typer.Argument(metavar="RECIPE|RUN", help="Recipe, or the first of several runs to compare.")
    ],
    overrides: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="KEY=VALUE,VALUE... | RUN...", help="e.g. strategy=mean,confidence train.seed=0,1,2"
        ),
    ] = None,
    name: Annotated[
        str, typer.Option(help="Name of the comparison. Default: derived from the recipe and the grid.")
    ] = "",
    tune: Annotated[
        str, typer.Option(help="Keys to tune on validation for each method, e.g. temperature,kd_ratio.")
    ] = "",
    trials: Annotated[
        int,
        typer.Option(
            min=1,
            callback=at_most(10_000, "each trial trains a student"),
            help="Number of trials of --tune for each method.",
        ),
    ] = 12,
    tune_seed: Annotated[
        int,
        typer.Option(
            min=0,
            callback=at_most(2**32 - 1, "the sampler takes seeds of 32 bits"),
            help="Random seed of --tune.",
        ),
    ] = 0,
    baseline: Baseline = None,
    no_baseline: NoBaseline = False,
    best_teacher: Annotated[
        bool,
        typer.Option(
            "--best-teacher/--no-best-teacher", help="Train the best single teacher's student as an opponent."
        ),
    ] = True,
    device: Device = "auto",
    threads: Threads = 0,
    jobs: Jobs = "auto",
    verify: Verify = Extent.SAMPLE,
    trust_pickle: TrustPickle = None,
    trust_code: TrustCode = False,
    as_json: Json = False,
) -> None:
    """Train a grid of students and compare them.

    Prints which settings are not surely worse than the best, and compares each with the baselines and
    with the best single teacher. Given several runs instead of a recipe, compares these finished runs.
    """
    with console.report_errors(as_json), signals.handle():
        at_a_time = jobs_of(jobs)
        from mtkd_cli.compare.from_runs import find_run

        more = overrides or []
        runs = [] if any("=" in argument for argument in more) else [recipe, *more]
        if len(runs) > 1 or (runs and find_run(recipe)):
            if tune:
                raise UsageError(
                    "--tune needs a recipe", where="--tune", hint="pass a recipe, or remove --tune"
                )
            refuse_without_recipe("", trust_pickle, trust_code)
            if verify is Extent.ALL:
                raise UsageError(
                    "--verify needs a recipe", where="--verify", hint="pass a recipe, or remove --verify"
                )
            from mtkd_cli.cli.render.comparison import compare_runs

            compare_runs(runs, name, as_json)
            return

        from mtkd_cli.cli.render.comparison import compare_grid

        choice = baseline_of(baseline, no_baseline) or BaselineChoice.ALL
        tuning, trusted = (tune, trials, tune_seed), trust_pickle or []
        compare_grid(
            recipe,
            more,
            name,
            tuning,
            choice,
            best_teacher,
            device,
            threads,
            trusted,
            trust_code,
            as_json,
            at_a_time,
            verify_all=verify is Extent.ALL,
        )
