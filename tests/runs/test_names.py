"""Names of result folders: any recipe file gives a valid one."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import Result

from mtkd_cli import api
from mtkd_cli.errors import UsageError
from mtkd_cli.runs import names
from tests.fixtures.finished_run import SMALL

FILES = ("größe", "übung", "数字", "a b", "_private", ".hidden", "-dash", "😀", "x" * 200)


@pytest.fixture
def recipe(mtkd: Callable[..., Result]) -> Callable[[str], Path]:
    """Write a recipe whose file has this name."""

    def write(name: str) -> Path:
        path = Path(f"{name}.yaml")
        path.write_text(mtkd("show", "recipe", "digits").stdout)
        return path

    return write


@pytest.mark.parametrize("name", FILES)
def test_any_text_gives_a_valid_name(name: str) -> None:
    assert names.is_valid(names.valid_part(name))
    assert names.is_valid(names.default_name(Path("runs"), name))


def test_a_valid_name_of_a_recipe_is_kept() -> None:
    assert names.valid_part("my_recipe-2.0") == "my_recipe-2.0"


@pytest.mark.parametrize("name", ["", "../up", "a/b", "a b", ".x", "-x", "größe", "x" * 101])
def test_an_invalid_name_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match="invalid name"):
        names.folder_of(Path("runs"), name)


def test_a_recipe_file_with_any_name_is_run_without_a_name(
    mtkd: Callable[..., Result], recipe: Callable[[str], Path]
) -> None:
    done = mtkd("distill", recipe("größe"), *SMALL, "--no-baseline", "--threads=1", "--json")
    assert done.exit_code == 0, done.output
    assert (Path("runs") / json.loads(done.stdout)["run"] / "report.json").is_file()


def test_so_it_is_from_python(recipe: Callable[[str], Path]) -> None:
    settings: dict[str, Any] = {
        "data": {"labels": 60},
        "train": {"epochs": 1},
        "teachers": [{"model": "convnet:4-8", "name": "t", "fit": {"epochs": 1}}],
        "student": "convnet:4-8",
    }
    report = api.distill(recipe("数字"), baseline=False, device="cpu", **settings)
    assert names.is_valid(report["run"])


def test_so_it_is_compared(mtkd: Callable[..., Result], recipe: Callable[[str], Path]) -> None:
    done = mtkd("compare", recipe("übung"), *SMALL, "train.seed=0", "--threads=1", "--json")
    assert done.exit_code == 0, done.output
