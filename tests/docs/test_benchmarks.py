"""The commands on the pages of the benchmarks work: every script runs here, as small as possible.

The scripts run in a copy of their folder, so no page is overwritten. What they measure is not checked.
"""

from __future__ import annotations

import argparse
import gzip
import importlib
import re
import shlex
import shutil
import struct
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from tests.docs.small_benchmarks import SMALL, Small
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
            owner, _, constant = path.rpartition(".")
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
