"""``mtkd distill``: train a student from teachers."""

from __future__ import annotations

from typing import Annotated

import typer

from mtkd_cli.cli import console
from mtkd_cli.cli.baseline_option import Baseline, NoBaseline, baseline_of
from mtkd_cli.cli.common_options import Device, Json, Recipe, Threads
from mtkd_cli.cli.completion import complete_override, complete_resumable
from mtkd_cli.cli.jobs_option import Jobs, jobs_of
from mtkd_cli.cli.number_limits import at_most
from mtkd_cli.cli.process_options import (
    Nodes,
    Processes,
    Rendezvous,
    Restarts,
    is_restart,
    launch_if_several,
    prepare_process,
    refuse_several,
    require_rendezvous,
)
from mtkd_cli.cli.recipe_argument import TrustCode, TrustPickle, parts_of, recipe_of_run
from mtkd_cli.cli.verify_option import Extent, Verify
from mtkd_cli.distributed import signals
from mtkd_cli.errors import UsageError


def distill(
    recipe: Recipe = "",
    overrides: Annotated[
        list[str] | None,
        typer.Argument(
            autocompletion=complete_override, metavar="KEY=VALUE...", help="e.g. train.epochs=3 strategy=mean"
        ),
    ] = None,
    name: Annotated[str, typer.Option(help="Name of the run. Default: the time and the recipe's name.")] = "",
    resume: Annotated[
        str,
        typer.Option(
            metavar="RUN",
            autocompletion=complete_resumable,
            help="Resume a stopped run, with the run's own recipe.",
        ),
    ] = "",
    auto_resume: Annotated[
        bool,
        typer.Option("--auto-resume", help="Resume the run named by --name if it exists, else start it."),
    ] = False,
    baseline: Baseline = None,
    no_baseline: NoBaseline = False,
    seeds: Annotated[
        int,
        typer.Option(
            min=0,
            callback=at_most(1000, "each seed trains all students again"),
            help="Train with so many seeds: train.seed and those after it. The median student is kept. "
            "0: one, or as many as the run has.",
        ),
    ] = 0,
    jobs: Jobs = "auto",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Check the recipe, print what would be done, and exit.")
    ] = False,
    full: Annotated[
        bool, typer.Option("--full", help="With --dry-run: also print the recipe with every default.")
    ] = False,
    device: Device = "auto",
    threads: Threads = 0,
    processes: Processes = 0,
    nodes: Nodes = 1,
    rendezvous: Rendezvous = "",
    restarts: Restarts = 3,
    verify: Verify = Extent.SAMPLE,
    trust_pickle: TrustPickle = None,
    trust_code: TrustCode = False,
    as_json: Json = False,
) -> None:
    """Distill a recipe's teachers into its student.

    Records the teachers' outputs, trains the student and reports the gain over the baselines.
    """
    with console.report_errors(as_json), signals.handle():
        prepare_process(processes, nodes)
        at_a_time = jobs_of(jobs)
        baseline = baseline_of(baseline, no_baseline)
        changes = list(overrides or [])
        if resume:
            name, recipe, changes = _resume_arguments(resume, recipe, changes, name, auto_resume)
        elif not recipe:
            raise UsageError("the recipe is missing", hint="mtkd list recipes shows the built-in recipes")
        elif auto_resume and not name:
            raise UsageError("--auto-resume needs --name", where="--auto-resume", hint="pass --name NAME")
        if full and not dry_run:
            raise UsageError("--full needs --dry-run", where="--full", hint="add --dry-run")
        if nodes > 1 and not name:
            raise UsageError(
                "--nodes needs --name", where="--nodes", hint="pass the same --name on each machine"
            )
        if seeds > 1:
            refuse_several("--seeds", max(1, processes) * nodes)
        is_resume = bool(resume) or auto_resume or is_restart()
        parts = parts_of(recipe, changes, trust_pickle, trust_code, verify)

        if dry_run:
            require_rendezvous(nodes, rendezvous)
            from mtkd_cli.cli.render.plan import plan

            several = (processes, nodes, baseline, seeds)
            plan(parts, name, is_resume, device, threads, *several, full, as_json, at_a_time)
            return

        # first: it needs torch, and says so if there is none
        from mtkd_cli.runs.start import resume_hint, run_recipe

        # isort: split
        from mtkd_cli.cli.render.distill import summary
        from mtkd_cli.inference.run_files import ROOT
        from mtkd_cli.runs.folder import read_process_count, read_seed_count
        from mtkd_cli.runs.names import default_name

        processes = processes or (read_process_count(name) // nodes if is_resume else 1)
        added = [] if name else ["--name", default_name(ROOT, parts.name)]
        name = name or added[1]
        how = f"Resume with: mtkd distill --resume {name}"
        with resume_hint(name):  # none if the run has not begun
            launch_if_several(processes, nodes, rendezvous, restarts, name, how, added)
        seeds = seeds or (read_seed_count(name) if is_resume else 1)
        if seeds > 1:
            from mtkd_cli.compare.seeds import run_seeds

            over_seeds = run_seeds(parts, name, seeds, is_resume, device, threads, baseline, at_a_time)
            signals.finish()
            summary(over_seeds, name, as_json)
            return
        report = run_recipe(parts, name, is_resume, device, threads, baseline)
        if report is not None:
            summary(report, name, as_json)


def _resume_arguments(
    resume: str, recipe: str, changes: list[str], name: str, auto_resume: bool
) -> tuple[str, str, list[str]]:
    """Return the run's name, the path of its recipe, and the overrides.

    The command line puts the first override into ``recipe``.
    """
    if name or auto_resume:
        raise UsageError(
            "--resume cannot be combined with --name or --auto-resume",
            where="--resume",
            hint="remove --name and --auto-resume",
        )
    if recipe and "=" not in recipe:
        raise UsageError(
            "--resume uses the recipe of the run",
            where=recipe,
            hint="remove the recipe, or use --name NAME --auto-resume",
        )
    name, path = recipe_of_run(resume)
    return name, path, [recipe, *changes] if recipe else changes
