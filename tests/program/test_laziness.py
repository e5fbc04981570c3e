"""Looking around imports no torch, and works where there is none."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fixtures import own_data

HEAVY = ("torch", "torchvision", "timm", "numpy", "sklearn", "PIL", "safetensors", "scipy", "torchmetrics")
SCRIPT = """
import sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {heavy!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

if {absent}:
    sys.meta_path.insert(0, Absent())
sys.argv[0] = "mtkd"
from mtkd_cli.__main__ import main
try:
    main()
except SystemExit as end:
    print("\\nexit", end.code or 0, file=sys.stderr)
print("loaded", *sorted({{name.partition(".")[0] for name in sys.modules}}), file=sys.stderr)
"""


def start(*arguments: str, absent: bool = False, **environment: str) -> tuple[int, set[str], str]:
    """Run mtkd in a process of its own; return exit code, top-level modules, stdout."""
    script = SCRIPT.format(heavy=HEAVY, absent=absent)
    done = subprocess.run(
        [sys.executable, "-c", script, *arguments],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | environment,
    )
    *_, ended, loaded = done.stderr.splitlines()
    return int(ended.split()[1]), set(loaded.split()[1:]), done.stdout


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["--version"],
        ["version"],
        ["distill", "-h"],
        ["distill", "--help"],
        ["list"],
        ["plugins"],
        ["plugins", "new", "mtkd-mine"],
        ["install", "--help"],
        ["uninstall", "mtkd"],
        ["show", "strategy", "confidence"],
        ["init", "digits"],
        ["distill", "digits", "strategy=meen"],
    ],
)
def test_looking_around_imports_nothing_heavy(arguments: list[str]) -> None:
    code, loaded, _ = start(*arguments)
    assert code == (2 if arguments[-1] in ("strategy=meen", "mtkd") else 0)
    assert loaded.isdisjoint(HEAVY)
    if arguments[0] in ("--help", "--version"):
        assert "pydantic" not in loaded, "Typer itself needs it, but only to read arguments"


@pytest.mark.parametrize("arguments", [["list", "runs"], ["show", "confidence"], ["install", "--help"]])
def test_more_of_looking_around_imports_no_torch(arguments: list[str]) -> None:
    code, loaded, _ = start(*arguments)
    assert code == 0
    assert "torch" not in loaded


def test_drafting_a_recipe_without_weights_imports_no_torch() -> None:
    own_data.class_folders(Path("photos"), count=1)
    own_data.mask_folders(Path("seg"), count=1)
    own_data.coco(Path("det"))
    own_data.voc(Path("voc"))
    own_data.table(Path("t.csv"), ["a", "b"])
    for path in ("photos", "seg", "det", "voc", "t.csv"):
        code, loaded, _ = start("init", "--data", path)
        assert code == 0
        assert "torch" not in loaded, path


def test_everything_can_be_listed_where_torch_is_not_installed() -> None:
    code, _, printed = start("list", "strategies", absent=True)
    assert code == 0
    assert "confidence" in printed


def test_only_the_run_itself_asks_for_torch() -> None:
    code, _, printed = start("distill", "digits", "--json", absent=True)
    assert code == 1
    assert "No module named 'torch'" in printed


def test_python_m_is_the_same_program() -> None:
    command = [sys.executable, "-m", "mtkd_cli", "list", "recipes"]
    assert "digits" in subprocess.run(command, capture_output=True, text=True, check=True).stdout


def test_a_shell_completes_commands() -> None:
    given = {"_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"}
    code, _, script = start("--show-completion", "bash", **given)
    assert code == 0
    assert "mtkd" in script
    given = {"_MTKD_COMPLETE": "complete_bash", "COMP_WORDS": "mtkd pl", "COMP_CWORD": "1"}
    code, loaded, offered = start(**given)
    assert (code, offered.strip()) == (0, "plugins")
    assert loaded.isdisjoint(HEAVY)


@pytest.mark.parametrize("typed", ["distill dig", "distill digits strategy=", "evaluate s", "show c"])
def test_completion_imports_no_torch(typed: str) -> None:
    given = {"_MTKD_COMPLETE": "complete_bash", "COMP_WORDS": f"mtkd {typed}"}
    given["COMP_CWORD"] = str(len(typed.split()))
    code, loaded, _ = start(**given)
    assert code == 0
    assert "torch" not in loaded


def test_a_reader_that_stops_early_is_no_error(tmp_path: Path) -> None:
    done = subprocess.run(
        ["/bin/sh", "-c", f"{sys.executable} -m mtkd_cli list --json | head -n 1"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "{\n"
    assert done.stderr == ""
