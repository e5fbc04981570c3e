"""Plugins that pip really installed: the finished example runs, a broken one is a row."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

EXAMPLE = Path(__file__).parents[2] / "docs/plugins/mtkd-example-strategy"
BROKEN = """
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"

[project]
name = "mtkd-broken"
version = "0.7"

[project.entry-points.mtkd]
broken = "mtkd_broken"
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder into which pip installed the example and a plugin that fails to import."""
    folder = tmp_path_factory.mktemp("installed")
    broken = folder / "source/mtkd_broken"
    broken.mkdir(parents=True)
    (broken.parent / "pyproject.toml").write_text(BROKEN)
    (broken / "__init__.py").write_text("import a_module_that_is_not_there\n")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-index"]
    pip += ["--no-build-isolation", "--no-deps", "--target", str(folder / "site")]
    subprocess.run([*pip, str(EXAMPLE), str(broken.parent)], check=True)
    return folder / "site"


def mtkd(site: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "mtkd_cli", *arguments],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"PYTHONPATH": str(site), "COLUMNS": "160"},
    )


def test_an_installed_strategy_is_listed_and_a_broken_plugin_is_one_row(site: Path) -> None:
    listed = mtkd(site, "list", "strategies")
    (row,) = [line for line in listed.stdout.splitlines() if line.startswith("lowest-error")]
    assert "mtkd-example-strategy 1.0" in row
    assert listed.returncode == 0
    assert listed.stderr == (
        "warning: plugin 'broken' of mtkd-broken 0.7 is broken: ModuleNotFoundError: "
        "No module named 'a_module_that_is_not_there' (remove it: mtkd uninstall mtkd-broken)\n"
    )
    described = json.loads(mtkd(site, "show", "strategy", "lowest-error", "--json").stdout)
    assert [option["name"] for option in described["options"]] == ["tau"]


def test_an_installed_strategy_runs(site: Path) -> None:
    teachers = "teachers=[{model: mlp:16, fit: all}, {model: mlp:8, fit: all}]"
    few = ["data.labels=100", "train.epochs=1", "train.lr=1e-2", "fit.epochs=1", teachers]
    done = mtkd(site, "distill", "digits", "strategy=lowest-error", *few, "--no-baseline", "--json")
    assert done.returncode == 0, done.stderr + done.stdout
    assert set(json.loads(done.stdout)["scores"]) >= {"student", "ensemble", "teachers"}
