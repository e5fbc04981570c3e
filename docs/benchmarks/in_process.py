"""Run recipes in one process, so that a benchmark of many runs imports torch once."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Sequence
from typing import Any

from rich.console import Console

from mtkd_cli.plugin.registry import discover
from mtkd_cli.recipe.reader import read
from mtkd_cli.recipe.resolve import resolve
from mtkd_cli.report import results
from mtkd_cli.runs import pipeline
from mtkd_cli.runs.folder import Run
from mtkd_cli.training.context import Context
from mtkd_cli.training.progress import Progress

CHANGES: tuple[str, ...] = ()
"""Overrides of every run, after its own. The test of the benchmarks makes runs short with them."""


def loaded(recipe: str, overrides: Sequence[str]) -> Context:
    """Return a recipe's data and task."""
    registry = discover(third_party=False)
    parts = resolve(read(recipe, [*overrides, *CHANGES], registry)[0], registry, recipe)
    return pipeline.prepare(parts, "auto", Progress(Console(stderr=True)))


def distil(recipe: str, overrides: Sequence[str], baseline: bool | str = "alone") -> dict[str, Any]:
    """Run a recipe, delete the run folder, and return the report.

    Args:
        recipe: name or path of the recipe.
        overrides: changes to it, KEY=VALUE.
        baseline: the baselines to train: none, alone or all; True and False are all and none.
    """
    context = loaded(recipe, overrides)
    run = Run(f"benchmark-{os.getpid()}-{time.time_ns()}")
    try:
        return results.as_json(pipeline.distill(context, run, baseline))
    finally:
        shutil.rmtree(run.folder)


def scores_of(report: dict[str, Any]) -> dict[str, Any]:
    """Return everyone's metrics and costs, as the files of raw results have them."""
    scores, costs = report["scores"], report["costs"]
    baselines = {kind: row | costs["baselines"][kind] for kind, row in scores["baselines"].items()}
    return {
        "student": scores["student"] | costs["student"],
        "alone": baselines.get("alone"),
        "baselines": baselines,
        "ensemble": scores["ensemble"] | costs["ensemble"],
        "teachers": {name: row | costs["teachers"][name] for name, row in scores["teachers"].items()},
    }
