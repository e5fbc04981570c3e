"""``mtkd distill``: the main job."""

from __future__ import annotations

from typing import Annotated

import typer

from mtkd_cli.cli import console
from mtkd_cli.cli.process_options import (
    Nodes,
    Processes,
    Rendezvous,
    Restarts,
    begin,
    launch_if_several,
    was_started_before,
)
from mtkd_cli.cli.recipe_argument import TrustCode, TrustPickle, parts_of, recipe_of_run
from mtkd_cli.distributed import signals
from mtkd_cli.errors import UsageError

Json = Annotated[bool, typer.Option("--json", help="Print JSON on stdout, nothing else.")]


def distill(
    recipe: Annotated[str, typer.Argument(help="A recipe file, or the name of a built-in recipe.")] = "",
    overrides: Annotated[
        list[str] | None, typer.Argument(metavar="KEY=VALUE...", help="e.g. train.epochs=3 strategy=mean")
    ] = None,
    name: Annotated[str, typer.Option(help="Name of the run. Default: the time and the recipe's name.")] = "",
    resume: Annotated[
        str, typer.Option(metavar="RUN", help="Go on with a run that was stopped; no recipe is given.")
    ] = "",
    auto_resume: Annotated[
        bool, typer.Option("--auto-resume", help="Go on with the run of this --name if there is one.")
    ] = False,
    baseline: Annotated[
        bool | None,
        typer.Option(
            "--baseline/--no-baseline", help="Train the student alone too.", show_default="baseline"
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the resolved recipe and the plan; train nothing.")
    ] = False,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    threads: Annotated[int, typer.Option(min=0, help="CPU threads; 0: as many as torch takes.")] = 0,
    processes: Processes = 0,
    nodes: Nodes = 1,
    rendezvous: Rendezvous = "",
    restarts: Restarts = 3,
    trust_pickle: TrustPickle = None,
    trust_code: TrustCode = False,
    as_json: Json = False,
) -> None:
    """Distil a recipe's teachers into its student, and say whether it paid."""
    with console.errors_shown(as_json), signals.handled():
        begin(processes, nodes)
        changes = list(overrides or [])
        if resume:
            name, recipe, changes = _resumed(resume, recipe, changes, name, auto_resume)
        elif not recipe:
            raise UsageError("the recipe is missing", hint="mtkd list recipes shows the built-in ones")
        elif auto_resume and not name:
            raise UsageError("--auto-resume goes on with a run of some name", hint="give it with --name")
        parts, recipe_name = parts_of(recipe, changes, trust_pickle, trust_code)

        if dry_run:
            from mtkd_cli.cli.render.plan import plan

            plan(parts, device, threads, baseline is not False, as_json)
            return

        from mtkd_cli.cli.render.distill import summary
        from mtkd_cli.inference.run_files import ROOT
        from mtkd_cli.runs.folder import processes_of
        from mtkd_cli.runs.names import default_name
        from mtkd_cli.runs.start import run_recipe

        go_on = bool(resume) or auto_resume or was_started_before()
        if nodes > 1 and not name:
            raise UsageError("the run on several machines needs a name", hint="give the same --name on each")
        processes = processes or (processes_of(name) // nodes if go_on else 1)
        named = [] if name else ["--name", default_name(ROOT, recipe_name)]
        name = name or named[1]
        again = f"Go on with: mtkd distill --resume {name}"
        launch_if_several(processes, nodes, rendezvous, restarts, name, again, named)
        report = run_recipe(parts, name, go_on, device, threads, baseline)
        if report is not None:
            summary(report, name, as_json)


def _resumed(
    resume: str, recipe: str, changes: list[str], name: str, auto_resume: bool
) -> tuple[str, str, list[str]]:
    """Return the run's name, its recipe and the overrides; the first of them is taken for a recipe."""
    if name or auto_resume:
        raise UsageError("--resume names the run already", hint="leave --name and --auto-resume out")
    if recipe and "=" not in recipe:
        raise UsageError(
            "--resume takes the recipe of the run",
            where=recipe,
            hint="leave the recipe out; --name NAME --auto-resume takes one",
        )
    name, path = recipe_of_run(resume)
    return name, path, [recipe, *changes] if recipe else changes
