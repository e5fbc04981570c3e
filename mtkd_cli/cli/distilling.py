"""The part of ``mtkd distill`` that needs torch."""

from __future__ import annotations

import contextlib
import sys
from contextlib import AbstractContextManager

from mtkd_cli.cli import console
from mtkd_cli.distributed import group
from mtkd_cli.files import yaml12
from mtkd_cli.inference.run_files import ROOT
from mtkd_cli.recipe.resolve import Resolved
from mtkd_cli.report.summary import table
from mtkd_cli.runs import view_count
from mtkd_cli.runs.folder import MANIFEST
from mtkd_cli.runs.plan import plan_of, plan_table
from mtkd_cli.runs.start import assist, context_of, lead


def distil(
    parts: Resolved, name: str, go_on: bool, device: str, threads: int, baseline: bool | None, as_json: bool
) -> None:
    """Run the recipe, or go on with its run, and print its summary.

    Args:
        parts: the recipe's.
        name: of the run.
        go_on: take a run that was begun before, too; device, threads and baseline that are not given are its.
        device: auto, cpu or cuda.
        threads: 0 for as many as torch takes.
        baseline: train the student alone; None: as before, at first yes.
        as_json: print the report as JSON.
    """
    with stdout_on_stderr(), group.joined(device):
        try:
            if not group.is_first():
                assist(parts, name)
                return
            report = lead(parts, name, go_on, device, threads, baseline)
        except KeyboardInterrupt as stop:
            how = f"go on with: mtkd distill --resume {name}" if (ROOT / name / MANIFEST).exists() else ""
            raise type(stop)(how) from None
    if as_json:
        console.out_json(report)
        return
    console.out(table(report))
    console.out(f"\n{report['verdict']['sentence']}")
    console.out(f"Everything is in {ROOT / name}/")


def plan(parts: Resolved, device: str, threads: int, baseline: bool, as_json: bool) -> None:
    """Print the resolved recipe and what would be done."""
    with stdout_on_stderr():
        context = context_of(parts, device, threads)
        facts = plan_of(context, view_count.views_of(parts.recipe), baseline)
    if as_json:
        console.out_json({"recipe": parts.recipe.as_dict(), "plan": facts})
        return
    print(yaml12.dump(parts.recipe.as_dict()))  # noqa: T201
    console.out(plan_table(facts))


def stdout_on_stderr() -> AbstractContextManager[object]:
    """Keep stdout for results: libraries and plugins that print meanwhile do so on stderr."""
    return contextlib.redirect_stdout(sys.stderr)
