"""Run a recipe and print its summary."""

from __future__ import annotations

from mtkd_cli.cli import console
from mtkd_cli.distributed import group
from mtkd_cli.inference.run_files import ROOT
from mtkd_cli.recipe.resolve import Resolved
from mtkd_cli.report.summary import table
from mtkd_cli.runs.folder import MANIFEST
from mtkd_cli.runs.start import assist, lead
from mtkd_cli.safe_loading.stdout import stdout_on_stderr


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
    with stdout_on_stderr(), group.process_group(device):
        try:
            if not group.is_first():
                assist(parts, name)
                return
            report = lead(parts, name, go_on, device, threads, baseline)
        except KeyboardInterrupt as stop:
            how = f"go on with: mtkd distill --resume {name}" if (ROOT / name / MANIFEST).exists() else ""
            raise type(stop)(how) from None
    if as_json:
        console.print_json(report)
        return
    console.print_result(table(report))
    console.print_result(f"\n{report['verdict']['sentence']}")
    console.print_result(f"Everything is in {ROOT / name}/")
