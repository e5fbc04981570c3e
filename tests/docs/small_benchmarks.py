"""How each benchmark script is run in seconds: small sizes, and stand-ins for what has its own tests."""

from __future__ import annotations

import argparse
import contextlib
import importlib
import io
import itertools
import json
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import timm
from safetensors.torch import save_file
from torch import nn

from tests.fixtures.command_line import mtkd


@dataclass(frozen=True)
class Small:
    """How a script is run in seconds.

    Attributes:
        arguments: its arguments; FASHION is a folder with a small data set in the format of Fashion-MNIST.
        changes: overrides of every run in this process.
        replace: new value by ``module.name``, or a function from the old value to the new one.
        writes: name of the page that it writes; empty: none.
    """

    arguments: str
    changes: tuple[str, ...] = ()
    replace: dict[str, Any] = field(default_factory=dict)
    writes: str = ""


def first(number: int) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """Return what keeps the first entries of a dictionary."""
    return lambda cases: dict(itertools.islice(cases.items(), number))


def last(number: int) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """Return what keeps the last entries of a dictionary."""
    return lambda cases: dict([*cases.items()][-number:])


def once_each(measure: Callable[[list[str], str], float]) -> Callable[[list[str], str], float]:
    """Return what runs each command once, and answers from then on what it took."""
    taken: dict[str, float] = {}

    def call(command: list[str], folder: str) -> float:
        key = " ".join(command)
        if key not in taken:
            taken[key] = measure(command, folder)
        return taken[key]

    return call


def small_audit(work: Path, command: str, *arguments: str) -> Any:
    """Run a command of audit.py in this process, with a small recipe, and return its JSON."""
    fewer = ["--baseline", "alone", "--no-best-teacher"] if command == "compare" else []
    with contextlib.chdir(work):
        done = mtkd(command, *arguments, *FASHION, *fewer, "--json")
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


def unconverted(module: nn.Module, *_: object) -> tuple[nn.Module, float]:
    """Return a module as it is, in place of its conversion to ONNX, which has its own tests."""
    return module, 0.0


class Start:
    """Starts of many_images.py in this process, in place of the module `subprocess`."""

    def run(self, command: list[str], env: dict[str, str], **_: object) -> argparse.Namespace:
        return argparse.Namespace(stdout=part_of("many_images", command[2:], MTKD_STORE=env["MTKD_STORE"]))


def run_here(arguments: Sequence[str], work: Path, store: Path) -> tuple[float, float]:
    """Run a command of jobs.py in this process, one student at a time."""
    more = [*DIGITS, "--baseline", "none", "--no-best-teacher", "--jobs", "1"]
    with contextlib.chdir(work):
        done = mtkd(*arguments, *(more if arguments[0] == "compare" else DIGITS), MTKD_STORE=str(store))
    assert done.exit_code == 0, done.output
    return 1.0, 1.0


def random_weights(number: int, path: Path) -> None:
    """Write random weights in place of those of a package; renaming them has its own test."""
    save_file(timm.create_model(f"tf_efficientnet_lite{number}").state_dict(), path)


def part_of(name: str, arguments: list[str], **environment: str) -> str:
    """Run a part of a script in this process and return what it prints."""
    with (
        contextlib.redirect_stdout(io.StringIO()) as printed,
        pytest.MonkeyPatch.context() as patch,
    ):
        for variable, value in {"STARTED": str(time.time()), **environment}.items():
            patch.setenv(variable, value)
        patch.setattr(sys, "argv", [f"{name}.py", *arguments])
        importlib.import_module(name).main()
    return printed.getvalue()


def part_of_memory(arguments: list[str], work: Path) -> str:
    """Run a part of memory.py in a folder and return what it prints."""
    with contextlib.chdir(work):
        return part_of("memory", arguments)


def rows_of_threads(recipe: str, options: argparse.Namespace, _: str) -> list[list[str]]:
    """Measure a recipe in this process and return the rows of threads.py."""
    script = importlib.import_module("threads")
    models = script.measure(recipe, options.fashion, options.rounds, options.seconds)
    return [script.row(recipe, *model) for model in models]


ONE_EPOCH = ("train.epochs=1", "fit.epochs=1", "views=1")
DIGITS = (*ONE_EPOCH, "train.lr=0.01", "student=mlp:4")
SCENES = (*ONE_EPOCH, "data.scenes=40", "data.test_scenes=10", "data.labels=30")
MERGED = (*SCENES, "student=tiny-fcos:8")
FASHION = (*ONE_EPOCH, "data.samples=160", "data.labels=60", "train.lr=0.01")
RESNETS = ("resnet:8-4", "resnet:8-5", "resnet:8-6")
SMALL = {
    "audit": Small(
        "--fashion FASHION --work work",
        replace={"audit.STRATEGIES": "mean", "audit.mtkd": lambda _: small_audit, "wrong_teacher.EPOCHS": 1},
        writes="audit.md",
    ),
    "bad_teacher": Small("--seeds 1", ONE_EPOCH, {"bad_teacher.CASES": first(2)}, "bad_teacher.md"),
    "calibrate": Small("--seeds 1", ONE_EPOCH, {"calibrate.STRATEGIES": ("mean",)}, writes="calibrate.md"),
    "calibration_error": Small("--simulations 1", writes="calibration_error.md"),
    "cuda_loop": Small(
        "--device cpu --students mlp:4 --batch-size 64 --steps 3 --rounds 1", ONE_EPOCH, writes="cuda.md"
    ),
    "decoding": Small("--images 24 --size 32 --workers 1 --rounds 1"),
    "default_strategy": Small(
        "--seeds 1", ONE_EPOCH, {"default_strategy.CASES": first(1)}, "default_strategy.md"
    ),
    "defaults": Small(
        "--seeds 1 --budgets 80 --temperatures 1 --kd-ratios 0.5 --views 1",
        DIGITS,
        writes="defaults-digits.md",
    ),
    "diabetes": Small("--labels 30 --seeds 1", ONE_EPOCH, writes="diabetes.md"),
    "error_rates": Small("--simulations 1", writes="error_rates.md"),
    "error_rates_audit": Small("--simulations 1", writes="error_rates_audit.md"),
    "few_labels": Small("--recipe digits --labels 60 --seeds 1", DIGITS, writes="digits.md"),
    "imagenet_teachers": Small(
        "--data FASHION --work work --seeds 1",
        (*ONE_EPOCH, "data.labels=20", "teachers.0.input.size=64"),
        {
            "imagenet_teachers.PER_CLASS": {"train": 3, "test": 1},
            "imagenet_teachers.NETWORKS": (0,),
            "imagenet_teachers.rename": lambda _: random_weights,
        },
        "imagenet_teachers.md",
    ),
    "int8": Small(
        "--fashion FASHION --seeds 1 --cases fashion-mnist",
        FASHION,
        {"int8.EPOCHS": 1, "int8.ROUNDS": 2},
        "int8.md",
    ),
    "jobs": Small(
        "--changes data.labels=60 train.epochs=1 fit.epochs=1 --jobs 2 --rounds 1",
        replace={"jobs.run": lambda _: run_here, "jobs.GRID": ("strategy=mean", "train.seed=0,1")},
        writes="jobs.md",
    ),
    "label_spaces": Small(
        "--seeds 1", DIGITS, {"label_spaces.CASES": (("mean", 0.9),)}, "label_spaces-digits.md"
    ),
    "manifest": Small("--files 50 --work ."),
    "many_images": Small("--images 300", replace={"many_images.subprocess": lambda _: Start()}),
    "merge": Small("--seeds 1 --recipes digit-scenes-merge", MERGED, writes="digit-scenes-merge.md"),
    "memory": Small("", replace={"memory.MODEL": "mlp:8", "memory.run": lambda _: part_of_memory}),
    "more_views": Small(
        "--data FASHION --seeds 1 --cases fashion-mnist",
        FASHION,
        {"more_views.MORE": first(1)},
        "more_views.md",
    ),
    "permuted_teacher": Small(
        "",
        SCENES,
        {"permuted_teacher.CASES": first(2), "permuted_teacher.RESAMPLES": 2},
        "permuted_teacher.md",
    ),
    "plot_few_labels": Small("digits"),
    "pseudo_labels": Small(
        "--seeds 1",
        (*MERGED, "data.scenes=50", "data.labels=40"),
        {"pseudo_labels.CASES": last(2)},
        "pseudo_labels.md",
    ),
    "recorded_maps": Small("", SCENES, writes="recorded_maps.md"),
    "recording_photos": Small(
        "--work work --images 40 --rounds 1 --threads 1",
        replace={
            "recording_photos.NETWORKS": (0,),
            "recording_photos.SIZE": 32,
            "recording_photos.to_onnx_module": lambda _: unconverted,
            "imagenet_teachers.rename": lambda _: random_weights,
        },
        writes="recording_photos.md",
    ),
    "recording": Small(
        "--data FASHION --work work --samples 64 --rounds 1 --direct 0",
        DIGITS,
        {
            "recording_bench.ARCHITECTURES": RESNETS,
            "mtkd_cli.teachers.recording_module.to_onnx_module": lambda _: unconverted,
            "memory.peaks": lambda _: lambda: (1.0, 1.0, 1.0),
        },
        "recording.md",
    ),
    "search": Small(
        "--fashion FASHION --seeds 1",
        (*ONE_EPOCH, "train.lr=0.01", "data.labels=60"),
        {
            "search.SETTINGS": {"fashion-mnist": ("data.samples=160",)},
            "search.STUDENTS": {"fashion-mnist": ("mlp:2", "mlp:4", "mlp:512")},
        },
        "search.md",
    ),
    "selection": Small("--seeds 1 --cases diabetes-60", DIGITS, writes="selection.md"),
    "startup": Small("--repetitions 2", replace={"startup.cpu_seconds": once_each}),
    "step_overhead": Small(
        "--recipes digits diabetes --steps 3 --rounds 1", ONE_EPOCH, writes="step_overhead.md"
    ),
    "strategies": Small(
        "--fashion FASHION --samples 160 --epochs 1 --seeds 1 --only mean", FASHION, writes="strategies.md"
    ),
    "threads": Small(
        "--recipes diabetes --rounds 1 --seconds 0.01",
        replace={"threads.rows": lambda _: rows_of_threads},
        writes="threads.md",
    ),
    "top_k": Small(
        "--photos PHOTOS --work work --seeds 1",
        ("train.epochs=1", "data.labels=8", "data.size=32"),
        {"top_k.NETWORKS": (0,), "top_k.KEPT": (None, 5), "top_k.rename": lambda _: random_weights},
        writes="top_k.md",
    ),
    "views": Small("--data FASHION --seeds 1 --views 1 live", FASHION, writes="views.md"),
}
