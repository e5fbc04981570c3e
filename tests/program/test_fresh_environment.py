"""From an idea to an installed, checked and used strategy, in an environment of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

OFFLINE = ("--no-build-isolation", "--no-deps", "--no-index")
FEW = ("data.labels=60", "train.epochs=1", "train.lr=1e-2", "fit.epochs=1", "student=mlp:8", "--no-baseline")
TEACHERS = "teachers=[{model: mlp:16, fit: all}, {model: mlp:8, fit: all}]"
BROKEN = "import a_module_that_is_not_there\n"


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The interpreter of a fresh environment that sees what this one has installed."""
    folder = tmp_path_factory.mktemp("fresh") / "environment"
    venv.create(folder, with_pip=True, symlinks=True)
    inside = {"base": str(folder), "platbase": str(folder)}
    standard = {sysconfig.get_path(name) for name in ("stdlib", "platstdlib")}
    seen = [path for path in sys.path if Path(path).is_dir() and path not in standard]
    seen = [path for path in seen if not path.endswith("lib-dynload")]
    (Path(sysconfig.get_path("purelib", vars=inside)) / "seen.pth").write_text("\n".join(seen) + "\n")
    return str(folder / "bin" / "python")


def mtkd(python: str, *arguments: str) -> str:
    """Run mtkd, and return its stdout; it must exit 0."""
    given = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    done = subprocess.run(
        [python, "-m", "mtkd_cli", *arguments],
        capture_output=True,
        text=True,
        check=False,
        env=given | {"COLUMNS": "200"},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_a_new_strategy_goes_all_the_way_and_a_broken_plugin_does_not_hinder_it(python: str) -> None:
    mtkd(python, "plugins", "new", "mtkd-mine", "--kind", "strategy")
    assert "mtkd-mine 0.1.0 offers: strategies mine" in mtkd(python, "install", *OFFLINE, "./mtkd-mine")
    mtkd(python, "plugins", "new", "mtkd-broken", "--kind", "tracker")
    Path("mtkd-broken/mtkd_broken.py").write_text(BROKEN)
    said = mtkd(python, "install", *OFFLINE, "-e", "./mtkd-broken")
    assert "mtkd-broken 0.1.0 is installed, but broken: " in said
    assert "mtkd_broken.py:1: ModuleNotFoundError" in "".join(said.split("\n"))

    (row,) = [line for line in mtkd(python, "list", "strategies").splitlines() if line.startswith("mine ")]
    assert "mtkd-mine 0.1.0" in row
    assert "broken" in mtkd(python, "plugins")
    mtkd(python, "--help")
    checked = json.loads(mtkd(python, "plugins", "check", "mine", "--json"))
    assert {row["result"] for row in checked} == {"ok"}
    report = json.loads(mtkd(python, "distill", "digits", "strategy=mine", TEACHERS, *FEW, "--json"))
    assert 0 < report["scores"]["student"]["accuracy"] <= 1

    assert "uninstalled mtkd-broken 0.1.0" in mtkd(python, "uninstall", "mtkd-broken")
    assert "uninstalled mtkd-mine 0.1.0" in mtkd(python, "uninstall", "mtkd-mine")
    assert "mine" not in mtkd(python, "list", "strategies").split()
    assert "broken" not in mtkd(python, "plugins")


def test_a_new_plugin_passes_its_own_test_as_written(python: str) -> None:
    mtkd(python, "plugins", "new", "mtkd-fresh")
    command = [python, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    done = subprocess.run(command, cwd="mtkd-fresh", capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout  # pytest exits 5 where it finds no test
