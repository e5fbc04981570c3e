"""The part of ``mtkd distill`` that needs torch."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Any

import torch
from rich.console import Console

from mtkd_cli import pipeline
from mtkd_cli.cli import console
from mtkd_cli.distributed import group
from mtkd_cli.files import yaml12
from mtkd_cli.inference.run_files import ROOT
from mtkd_cli.plan import plan_of, plan_table
from mtkd_cli.recipe.resolve import Resolved
from mtkd_cli.report.summary import table
from mtkd_cli.run import CHECKPOINTS, MANIFEST, Run
from mtkd_cli.training.context import Context
from mtkd_cli.training.progress import Progress


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
                _assist(parts, name)
                return
            report = _lead(parts, name, go_on, device, threads, baseline)
        except KeyboardInterrupt as stop:
            how = f"go on with: mtkd distill --resume {name}" if (ROOT / name / MANIFEST).exists() else ""
            raise type(stop)(how) from None
    if as_json:
        console.out_json(report)
        return
    console.out(table(report))
    console.out(f"\n{report['verdict']['sentence']}")
    console.out(f"Everything is in {ROOT / name}/")


def _lead(
    parts: Resolved, name: str, go_on: bool, device: str, threads: int, baseline: bool | None
) -> dict[str, Any]:
    """Do this run, or lead the other processes of it, and return its report."""
    with Run(name, go_on) as run:
        begun: Mapping[str, Any] = run.begun or {}
        baseline = begun.get("baseline", True) if baseline is None else baseline
        same = (parts.recipe.as_dict(), baseline) == (begun.get("recipe"), begun.get("baseline"))
        report = run.finished_report() if same else None
        device = begun.get("device", device) if device == "auto" else device
        threads = threads or begun.get("engine", {}).get("threads", 0)
        group.same(None if report else (device, threads, baseline))
        return report or pipeline.distill(context_of(parts, device, threads), run, baseline)


def _assist(parts: Resolved, name: str) -> None:
    """Do this process's share of a run that another leads."""
    if led := group.same(None):
        device, threads, baseline = led
        pipeline.assist(context_of(parts, device, threads), baseline, ROOT / name / CHECKPOINTS)


def plan(parts: Resolved, device: str, threads: int, baseline: bool, as_json: bool) -> None:
    """Print the resolved recipe and what would be done."""
    with stdout_on_stderr():
        context = context_of(parts, device, threads)
        facts = plan_of(context, pipeline.views_of(parts.recipe), baseline)
    if as_json:
        console.out_json({"recipe": parts.recipe.as_dict(), "plan": facts})
        return
    print(yaml12.dump(parts.recipe.as_dict()))  # noqa: T201
    console.out(plan_table(facts))


def context_of(parts: Resolved, device: str, threads: int) -> Context:
    """Load the data and the task of a recipe, with progress on stderr; all processes take as many threads."""
    _use_threads(group.same(threads or _share_of_threads()))
    return pipeline.prepare(parts, device, Progress(Console(stderr=True) if group.is_first() else None))


def stdout_on_stderr() -> AbstractContextManager[object]:
    """Keep stdout for results: libraries and plugins that print meanwhile do so on stderr."""
    return contextlib.redirect_stdout(sys.stderr)


def _share_of_threads() -> int:
    """Return the threads of one of several processes on this machine; 0 of one alone: as torch takes."""
    processes = int(os.environ.get("LOCAL_WORLD_SIZE") or group.size())
    return max(1, (os.cpu_count() or 1) // processes) if group.size() > 1 else 0


def _use_threads(threads: int) -> None:
    if threads:
        torch.set_num_threads(threads)
