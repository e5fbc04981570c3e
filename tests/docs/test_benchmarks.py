"""The commands on the pages of the benchmarks work: every script runs here, as small as possible.

The scripts run in a copy of their folder, so no page is overwritten. What they measure is not checked.
"""

from __future__ import annotations

import argparse
import contextlib
import gzip
import importlib
import io
import itertools
import json
import re
import shlex
import shutil
import struct
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import timm
from safetensors.torch import save_file

from tests.fixtures.command_line import mtkd
from tests.fixtures.own_data import class_folders

DOCS = Path(__file__).parents[2] / "docs"
SCRIPTS = {path.stem for path in DOCS.glob("benchmarks/*.py") if '"__main__"' in path.read_text()}
COMMANDS = sorted(
    {
        (page.stem, command.strip())
        for page in DOCS.glob("benchmarks/*.md")
        for command in re.findall(r"python docs/benchmarks/([^\n`]+)", page.read_text(encoding="utf-8"))
    }
)
"""Page and command line of every measurement."""


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


ONE_EPOCH = ("train.epochs=1", "fit.epochs=1", "views=1")
DIGITS = (*ONE_EPOCH, "train.lr=0.01", "student=mlp:4")
SCENES = (*ONE_EPOCH, "data.scenes=40", "data.labels=30")
MERGED = (*SCENES, "data.test_scenes=10", "student=tiny-fcos:8")
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
    "many_images": Small("--images 300"),
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
            "imagenet_teachers.rename": lambda _: random_weights,
        },
        writes="recording_photos.md",
    ),
    "recording": Small(
        "--data FASHION --work work --samples 64 --rounds 1 --direct 0",
        DIGITS,
        {"recording_bench.ARCHITECTURES": RESNETS, "memory.peaks": lambda _: lambda: (1.0, 1.0, 1.0)},
        "recording.md",
    ),
    "search": Small(
        "--fashion FASHION --seeds 1",
        (*ONE_EPOCH, "train.lr=0.01", "data.labels=60"),
        {
            "search.SETTINGS": {"digits": (), "fashion-mnist": ("data.samples=160",)},
            "search.STUDENTS": dict.fromkeys(("digits", "fashion-mnist"), ("mlp:2", "mlp:4", "mlp:512")),
        },
        "search.md",
    ),
    "selection": Small("--seeds 1 --cases diabetes-60", DIGITS, writes="selection.md"),
    "startup": Small("--repetitions 2"),
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


def test_every_script_runs_here() -> None:
    assert SMALL.keys() == SCRIPTS


@pytest.mark.parametrize("name", sorted(SMALL))
def test_runs(
    name: str, start: Callable[[str, Small], ModuleType], capsys: pytest.CaptureFixture[str]
) -> None:
    small = SMALL[name]
    module = start(name, small)
    page = Path(str(module.__file__)).with_name(small.writes or "none")
    module.main()
    if small.writes:
        assert page.is_file()
    else:
        assert capsys.readouterr().out or name == "plot_few_labels"


@pytest.mark.parametrize(("page", "command"), COMMANDS)
def test_command_on_the_page_is_valid(
    page: str, command: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script, *arguments = shlex.split(command)
    name = script.removesuffix(".py")
    assert name in SCRIPTS
    if "parse_args" not in (folder / script).read_text():
        assert arguments == []
        return

    class ParsedError(Exception):
        """The arguments are valid."""

    def parse(parser: argparse.ArgumentParser) -> None:
        parser.parse_known_args(arguments)
        raise ParsedError

    monkeypatch.setattr(argparse.ArgumentParser, "parse_args", parse)
    with pytest.raises(ParsedError):
        importlib.import_module(name).main()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A copy of the scripts, from which they are imported."""
    copy = tmp_path / "docs" / "benchmarks"
    shutil.copytree(DOCS / "benchmarks", copy, ignore=shutil.ignore_patterns("*.md", "__pycache__"))
    (copy / "strategies.json").unlink()
    (copy / "search.json").unlink(missing_ok=True)
    shutil.copytree(DOCS / "examples", copy.parent / "examples")
    monkeypatch.syspath_prepend(copy)
    names = {path.stem for path in copy.glob("*.py")}
    before = {name: sys.modules.pop(name) for name in names & sys.modules.keys()}
    yield copy
    for name in names:
        sys.modules.pop(name, None)
    sys.modules.update(before)


@pytest.fixture
def start(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[str, Small], ModuleType]:
    """Import a script, with its arguments on the command line and its constants replaced."""

    def load(name: str, small: Small) -> ModuleType:
        arguments = small.arguments.replace("FASHION", str(fashion(tmp_path / "fashion")))
        arguments = arguments.replace("PHOTOS", str(photos(tmp_path / "photos")))
        monkeypatch.setattr(sys, "argv", [f"{name}.py", *shlex.split(arguments)])
        for path, value in {"in_process.CHANGES": small.changes, **small.replace}.items():
            owner, _, constant = path.partition(".")
            module = importlib.import_module(owner)
            new = value(getattr(module, constant)) if callable(value) else value
            monkeypatch.setattr(module, constant, new)
        return importlib.import_module(name)

    return load


def fashion(folder: Path) -> Path:
    """Write a small data set in the format of Fashion-MNIST and return its folder."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    for prefix, count in (("train", 160), ("t10k", 40)):
        labels = (np.arange(count) % 10).astype(np.uint8)
        images = rng.integers(0, 50, (count, 28, 28), dtype=np.uint8) + 20 * labels[:, None, None]
        for name, array in ((f"{prefix}-images-idx3", images), (f"{prefix}-labels-idx1", labels)):
            header = struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape)
            (folder / f"{name}-ubyte.gz").write_bytes(gzip.compress(header + array.tobytes()))
    return folder


def photos(folder: Path) -> Path:
    """Write a few images of ants and bees and return their folder."""
    for split in ("train", "val"):
        class_folders(folder / split, ("ants", "bees"), 6)
    return folder


def small_audit(work: Path, command: str, *arguments: str) -> Any:
    """Run a command of audit.py in this process, with a small recipe, and return its JSON."""
    fewer = ["--baseline", "alone", "--no-best-teacher"] if command == "compare" else []
    with contextlib.chdir(work):
        done = mtkd(command, *arguments, *FASHION, *fewer, "--json")
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


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


def part_of_memory(arguments: list[str], work: Path) -> str:
    """Run a part of memory.py in a folder and return what it prints."""
    memory = importlib.import_module("memory")
    with (
        contextlib.chdir(work),
        contextlib.redirect_stdout(io.StringIO()) as printed,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setattr(sys, "argv", ["memory.py", *arguments])
        memory.main()
    return printed.getvalue()


def rows_of_threads(recipe: str, options: argparse.Namespace, _: str) -> list[list[str]]:
    """Measure a recipe in this process and return the rows of threads.py."""
    script = importlib.import_module("threads")
    models = script.measure(recipe, options.fashion, options.rounds, options.seconds)
    return [script.row(recipe, *model) for model in models]
