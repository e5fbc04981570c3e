"""Small real runs: digits, tiny models, two epochs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch

from mtkd_cli.plugin.registry import Registry
from mtkd_cli.recipe.reader import read
from mtkd_cli.recipe.resolve import resolve
from mtkd_cli.runs import pipeline
from mtkd_cli.runs.folder import Run
from mtkd_cli.training.context import Context
from mtkd_cli.training.progress import Progress

SMALL = (
    "data.labels=60",
    "train.epochs=2",
    "train.lr=0.01",
    "fit.epochs=2",
    "fit.labels=all",
    "teachers.0.fit=all",
    "teachers.1.fit=all",
    "teachers.2.fit=all",
    "teachers.0.model=mlp:32",
    "teachers.1.model=convnet:8-16",
    "teachers.2.model=resnet:8-8",
    "student=mlp:8",
)

Contexts = Callable[..., Context]


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def context(registry: Registry) -> Contexts:
    def make(*overrides: str, recipe: str = "digits") -> Context:
        small = SMALL if recipe == "digits" else ()
        found, _ = read(recipe, [*small, *overrides], registry)
        return pipeline.prepare(resolve(found, registry, recipe), "cpu", Progress())

    return make


@pytest.fixture
def distil(context: Contexts) -> Callable[..., dict[str, Any]]:
    """Run a small recipe to its end and return the report."""
    names = iter(range(100))

    def run(
        *overrides: str, baseline: bool = False, name: str = "", recipe: str = "digits"
    ) -> dict[str, Any]:
        return pipeline.distill(
            context(*overrides, recipe=recipe), Run(name or f"run-{next(names)}"), baseline
        )

    return run
