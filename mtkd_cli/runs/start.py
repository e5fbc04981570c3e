"""Start a run from a resolved recipe: one process leads, the others assist."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import torch
from rich.console import Console

from mtkd_cli.distributed import first_failure, group, signals
from mtkd_cli.distributed.threads import Threads, threads_of_engine, threads_of_option
from mtkd_cli.inference.run_files import ROOT
from mtkd_cli.recipe.resolve import Resolved
from mtkd_cli.report.run_result import RunResult
from mtkd_cli.runs import automatic, pipeline
from mtkd_cli.runs.baseline_choice import BaselineChoice, read_choice
from mtkd_cli.runs.folder import CHECKPOINTS, MANIFEST, Run, training_point
from mtkd_cli.safe_loading.stdout import stdout_on_stderr
from mtkd_cli.training.context import Context
from mtkd_cli.training.process_changes import ProcessChanges, changes_of_run
from mtkd_cli.training.progress import Progress


def run_recipe(
    parts: Resolved, name: str, resume: bool, device: str, threads: int, baseline: BaselineChoice | None
) -> RunResult | None:
    """Run a recipe, or resume its run, with the other processes of this run if there are any.

    Args:
        parts: the resolved recipe.
        name: name of the run.
        resume: whether to resume the run if it exists, with its device, threads and baselines by default.
        device: ``auto``, ``cpu`` or ``cuda``.
        threads: number of threads; 0: those of the run, or chosen automatically if it is new.
        baseline: baselines to train; None: those of the run, or all if it is new.

    Returns:
        The report; None in every process but the first.
    """
    with stdout_on_stderr(), group.process_group(device), resume_hint(name):
        if not group.is_first():
            _assist(parts, name)
            signals.finish()
            return None
        with Run(name, resume) as run:
            parts, device, used, baseline = settings_of_run(run.begun, parts, device, threads, baseline)
            report = find_finished_report(run, parts, baseline)
            begun = (run.begun or {}).get("recipe")
            changes = changes_of_run(run.begun, name, group.size(), training_point(run.checkpoints))
            group.broadcast(None if report else (device, used, baseline, begun, changes))
            if report is None:
                with group.began_with(changes.began if changes else 0):
                    context = load_context(parts, device, used, process_changes=changes)
                    try:
                        report = pipeline.distill(context, run, baseline)
                    except signals.Interrupted:
                        # A signal that comes after the run was marked as finished does not count.
                        report = run.load_finished_report()
                        if report is None:
                            raise
            _finish()
            return report


def _finish() -> None:
    """Keep signals, and the launcher, from calling a finished run interrupted."""
    signals.finish()
    first_failure.mark_finished()


def settings_of_run(
    begun: Mapping[str, Any] | None,
    parts: Resolved,
    device: str,
    threads: int,
    baseline: BaselineChoice | None,
) -> tuple[Resolved, str, Threads, BaselineChoice]:
    """Return recipe, device, threads and baselines; those that are not given are the run's.

    Args:
        begun: manifest of the run; None if it is new.
        parts: the resolved recipe.
        device: value of ``--device``.
        threads: value of ``--threads``.
        baseline: baselines to train; None: those of the run, or all if it is new.
    """
    begun = begun or {}
    return (
        replace(parts, recipe=automatic.apply_begun_values(parts.recipe, begun.get("recipe"))),
        begun.get("device", device) if device == "auto" else device,
        (None if threads else threads_of_engine(begun.get("engine", {}))) or threads_of_option(threads),
        baseline or read_choice(begun) or BaselineChoice.ALL,
    )


def find_finished_report(run: Run, parts: Resolved, baseline: BaselineChoice) -> RunResult | None:
    """Return the report of a run that is finished and has the same recipe and baselines; else None."""
    begun: Mapping[str, Any] = run.begun or {}
    same = (parts.recipe.as_dict(), baseline) == (begun.get("recipe"), read_choice(begun))
    return run.load_finished_report() if same else None


def _assist(parts: Resolved, name: str) -> None:
    """Do this process's share of a run that the first process leads."""
    if led := group.broadcast(None):
        device, threads, baseline, begun, changes = led
        parts = replace(parts, recipe=automatic.apply_begun_values(parts.recipe, begun))
        with group.began_with(changes.began if changes else 0):
            context = load_context(parts, device, threads, process_changes=changes)
            pipeline.assist(context, baseline, ROOT / name / CHECKPOINTS)


@contextmanager
def resume_hint(name: str) -> Iterator[None]:
    """Add how to resume the run to an interruption."""
    try:
        yield
    except KeyboardInterrupt as stop:
        how = f"resume with: mtkd distill --resume {name}" if (ROOT / name / MANIFEST).exists() else ""
        raise type(stop)(how) from None


def load_context(
    parts: Resolved,
    device: str,
    threads: Threads,
    only_teachers: bool = False,
    process_changes: ProcessChanges | None = None,
) -> Context:
    """Load the data and the task of a recipe, with progress on stderr and the same threads everywhere.

    Args:
        parts: the resolved recipe.
        device: ``auto``, ``cpu`` or ``cuda``.
        threads: the CPU threads; those of the first process count.
        only_teachers: whether no student is trained, so that fewer labels are needed.
        process_changes: changes of the number of processes of the run.
    """
    threads = group.broadcast(threads)
    torch.set_num_threads(threads.limit)
    progress = Progress(Console(stderr=True) if group.is_first() else None)
    return pipeline.prepare(parts, device, progress, threads, only_teachers, process_changes)
