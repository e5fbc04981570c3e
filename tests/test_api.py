"""`mtkd_cli.api`: the examples of the documentation run, and looking at it imports no torch."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import mtkd
import mtkd_cli
from mtkd_cli import api
from mtkd_cli.errors import RecipeError

PAGE = Path(__file__).parents[1] / "docs" / "python-api.md"


def test_the_documented_examples_run(capsys: pytest.CaptureFixture[str]) -> None:
    code = "\n".join(re.findall(r"```python\n(.*?)```", PAGE.read_text(), flags=re.DOTALL))
    exec(compile(code, str(PAGE), "exec"), {})
    printed = capsys.readouterr().out
    assert "zero.png Prediction" in printed
    assert "missing.png the image cannot be read" in printed
    assert json.loads(Path("runs/first/report.json").read_text())["run"] == "first"


def test_overrides_are_checked_as_on_the_command_line() -> None:
    with pytest.raises(RecipeError, match="1 problem"):
        api.distill("digits", train={"epoch": 3})


def test_teachers_are_recorded_without_a_student() -> None:
    small = {"model": "mlp:8", "name": "t", "fit": {"epochs": 1}}
    assert api.record("digits", teachers=[small]) == ["t"]
    assert not Path("runs").exists()


def test_the_files_of_a_student_are_those_that_decide_its_answers(
    distill: Callable[..., dict[str, Any]],
) -> None:
    layers = "nn.Sequential(nn.Flatten(), nn.Linear(64, 10))"
    Path("net.py").write_text(f"from torch import nn\n\ndef net(**_):\n    return {layers}\n")
    distill("student=python:net.py:net", name="first")
    found = api.student_files("first")
    first = Path("runs/first")
    assert found == [first / "student.json", first / "student.safetensors", Path("net.py").resolve()]
    assert api.student_files(first) == found


def test_the_package_has_every_function_of_the_api() -> None:
    functions = {
        n for n, f in vars(api).items() if getattr(f, "__module__", "") == api.__name__ and n[0] != "_"
    }
    assert functions <= set(mtkd.__all__)
    assert all(getattr(mtkd, name) is getattr(api, name) for name in functions)
    assert mtkd.__version__ == mtkd_cli.__version__


def test_an_error_says_what_where_and_what_to_do() -> None:
    with pytest.raises(mtkd.MtkdError) as caught:
        mtkd.distill("digits", train={"epoch": 3})
    for said in ("unknown key 'epoch'", "digits: train.epoch", "did you mean 'epochs'?"):
        assert said in str(caught.value)


@pytest.mark.parametrize("module", ["mtkd", "mtkd_cli.api", "mtkd_teachers.run"])
def test_importing_it_imports_no_torch(module: str) -> None:
    code = f"import sys, {module}; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
