"""One small finished run, made once; each test has a copy of it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner, Result

from mtkd_cli.cli.app import create
from mtkd_cli.plugin.registry import Registry
from mtkd_cli.recipe.reader import read
from mtkd_cli.recipe.resolve import resolve
from mtkd_cli.runs import pipeline
from mtkd_cli.runs.folder import Run
from mtkd_cli.training.progress import Progress

SMALL = (
    "data.labels=60",
    "train.epochs=2",
    "train.lr=0.01",
    "teachers=[{model: 'convnet:4-8', name: t, fit: {epochs: 2}}]",
    "student=convnet:4-8",
)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def finished(registry: Registry, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of digits, trained just long enough to be better than chance."""
    place, before = tmp_path_factory.mktemp("finished"), Path.cwd()
    os.chdir(place)
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("MTKD_STORE", str(place / "store"))
            recipe, _ = read("digits", SMALL, registry)
            context = pipeline.prepare(resolve(recipe, registry, "digits"), "cpu", Progress())
            run = Run("small")
            pipeline.distill(context, run, baseline=False)
    finally:
        os.chdir(before)
    return place / run.folder


@pytest.fixture
def run(finished: Path) -> Path:
    """A copy of the finished run, in ``runs/small`` of the test's folder."""
    return Path(shutil.copytree(finished, Path("runs/small")))


@pytest.fixture
def mtkd() -> Callable[..., Result]:
    """Run the command line in this process."""
    return lambda *arguments: CliRunner().invoke(create(), [str(a) for a in arguments])
