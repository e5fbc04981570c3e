"""The part of ``mtkd distill`` that needs torch."""

from __future__ import annotations

import torch
from rich.console import Console

from mtkd_cli import pipeline, strict_yaml
from mtkd_cli.cli import console
from mtkd_cli.errors import UsageError
from mtkd_cli.plan import plan_of, plan_table
from mtkd_cli.progress import Progress
from mtkd_cli.report.summary import table
from mtkd_cli.resolve import Resolved
from mtkd_cli.run import Run, default_name


def distil(
    parts: Resolved, name: str, recipe_name: str, device: str, threads: int, baseline: bool, as_json: bool
) -> None:
    """Run the recipe and print its summary."""
    _use_threads(threads)
    progress = Progress(Console(stderr=True))
    context = pipeline.prepare(parts, device, progress)
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
    _use_threads(threads)
    context = pipeline.prepare(parts, device, Progress(Console(stderr=True)))
    facts = plan_of(context, pipeline.views_of(parts.recipe), baseline)
    if as_json:
        console.out_json({"recipe": parts.recipe.as_dict(), "plan": facts})
        return
    print(strict_yaml.dump(parts.recipe.as_dict()))  # noqa: T201
    console.out(plan_table(facts))


def _use_threads(threads: int) -> None:
    if threads < 0:
        raise UsageError("threads cannot be negative", where="--threads")
    if threads:
        torch.set_num_threads(threads)
