"""The part of ``mtkd distill`` that needs torch."""

from __future__ import annotations

import contextlib
import sys
from contextlib import AbstractContextManager

import torch
from rich.console import Console

from mtkd_cli import pipeline, strict_yaml
from mtkd_cli.cli import console
from mtkd_cli.context import Context
from mtkd_cli.plan import plan_of, plan_table
from mtkd_cli.progress import Progress
from mtkd_cli.report.summary import table
from mtkd_cli.resolve import Resolved
from mtkd_cli.run import Run, default_name


def distil(
    parts: Resolved, name: str, recipe_name: str, device: str, threads: int, baseline: bool, as_json: bool
) -> None:
    """Run the recipe and print its summary."""
    with stdout_on_stderr():
        context = context_of(parts, device, threads)
        run = Run(name or default_name(recipe_name))
        report = pipeline.distill(context, run, baseline)
    if as_json:
        console.out_json(report)
        return
    console.out(table(report))
    console.out(f"\n{report['verdict']['sentence']}")
    console.out(f"Everything is in {run.folder}/")


def plan(parts: Resolved, device: str, threads: int, baseline: bool, as_json: bool) -> None:
    """Print the resolved recipe and what would be done."""
    with stdout_on_stderr():
        context = context_of(parts, device, threads)
        facts = plan_of(context, pipeline.views_of(parts.recipe), baseline)
    if as_json:
        console.out_json({"recipe": parts.recipe.as_dict(), "plan": facts})
        return
    print(strict_yaml.dump(parts.recipe.as_dict()))  # noqa: T201
    console.out(plan_table(facts))


def context_of(parts: Resolved, device: str, threads: int) -> Context:
    """Load the data and the task of a recipe, with progress on stderr."""
    _use_threads(threads)
    return pipeline.prepare(parts, device, Progress(Console(stderr=True)))


def stdout_on_stderr() -> AbstractContextManager[object]:
    """Keep stdout for results: libraries and plugins that print meanwhile do so on stderr."""
    return contextlib.redirect_stdout(sys.stderr)


def _use_threads(threads: int) -> None:
    if threads:
        torch.set_num_threads(threads)
