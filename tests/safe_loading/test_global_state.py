"""Local code and plugins do not change the settings of the process, and mtkd says what it restored."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
import torch
from torch import nn

from mtkd_cli.safe_loading.global_state import keep_global_state, restore, take_snapshot
from mtkd_cli.safe_loading.local_code import load_attribute
from tests.fixtures.small_runs import Contexts

CHANGES = {
    "the number of torch's threads": "torch.set_num_threads(torch.get_num_threads() + 1)",
    "torch's default dtype": "torch.set_default_dtype(torch.float64)",
    "torch's default device": "torch.set_default_device('meta')",
    "torch's gradient mode": "torch.set_grad_enabled(False)",
    "torch's check for anomalies": "torch.autograd.set_detect_anomaly(True)",
    "torch's deterministic algorithms": "torch.use_deterministic_algorithms(True, warn_only=True)",
    "torch's matmul precision": "torch.set_float32_matmul_precision('medium')",
    "torch's seed": "torch.manual_seed(torch.initial_seed() + 1)",
    "cudnn.benchmark": "torch.backends.cudnn.benchmark = True",
    "the random numbers of torch": "torch.rand(1)",
    "the random numbers of numpy": "np.random.seed(1)",
    "the random numbers of Python": "random.seed(1)",
    "numpy's errors": "np.seterr(all='raise')",
    "Pillow's limit of pixels": "PIL.Image.MAX_IMAGE_PIXELS = None",
    "Pillow's truncated images": "PIL.ImageFile.LOAD_TRUNCATED_IMAGES = True",
    "the working directory": "os.chdir('/')",
    "environment variables of mtkd": "os.environ['MTKD_STORE'] = 'elsewhere'",
    "the signal handlers": "signal.signal(signal.SIGTERM, signal.SIG_IGN)",
    "the filters of warnings": "warnings.simplefilter('error')",
    "the level of logs": "logging.disable(50)",
    "the recursion limit": "sys.setrecursionlimit(sys.getrecursionlimit() + 1)",
    "stderr": "sys.stderr = open(os.devnull, 'w')",
}
IMPORTS = "import logging, os, random, signal, sys, warnings, numpy as np, torch, PIL.Image, PIL.ImageFile\n"


@pytest.mark.parametrize("name", CHANGES)
def test_every_setting_is_restored_and_named_once(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    exec(IMPORTS)
    file = tmp_path / "mine.py"
    file.write_text(f"{IMPORTS}{CHANGES[name]}\nanswer = 1\n")
    before = take_snapshot()
    for _ in range(2):
        assert load_attribute(f"python:{file}:answer") == 1
    assert restore(before) == []
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 1
    assert said[0].startswith(f"warning: {file} changed ")
    assert name in said[0]


def test_settings_are_restored_if_code_fails(capsys: pytest.CaptureFixture[str]) -> None:
    count = torch.get_num_threads()
    with pytest.raises(ValueError, match="x"), keep_global_state("failing"):
        torch.set_num_threads(count + 1)
        raise ValueError("x")
    assert torch.get_num_threads() == count
    assert "the number of torch's threads" in capsys.readouterr().err


def test_restored_filters_of_warnings_work(recwarn: pytest.WarningsRecorder) -> None:
    with keep_global_state("strict"):
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", message="of a library")
    warnings.warn("no error", stacklevel=1)
    warnings.warn("of a library", stacklevel=1)
    assert [str(each.message) for each in recwarn] == ["no error"]


def test_code_that_changes_nothing_and_draws_is_not_named(capsys: pytest.CaptureFixture[str]) -> None:
    with keep_global_state("a model", draws=True):
        nn.Linear(2, 2)
        random.random()
    with keep_global_state("nothing"):
        Path("x").touch()
    assert not capsys.readouterr().err


def test_deleted_working_directory(tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    os.chdir(gone)
    gone.rmdir()
    with keep_global_state("in a deleted folder"):
        os.chdir(tmp_path)
    os.chdir(tmp_path)


def test_seed_in_local_code_does_not_replace_that_of_the_recipe(context: Contexts) -> None:
    """Importing the file happens after the recipe's seed is set."""
    from mtkd_cli.runs.students import build_untrained

    Path("mine.py").write_text(
        "import torch\ntorch.manual_seed(0)\ntorch.set_default_dtype(torch.float64)\n"
        "def build(outputs):\n"
        "    torch.set_grad_enabled(False)\n"
        "    return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, outputs))\n"
    )
    made = [
        next(
            build_untrained(context("student=python:mine.py:build", f"train.seed={seed}")).module.parameters()
        )
        for seed in (0, 1)
    ]
    assert made[0].dtype == torch.float32
    assert torch.is_grad_enabled()
    assert not torch.equal(*made)


def test_snapshot_imports_nothing() -> None:
    program = (
        "import sys\nfrom mtkd_cli.safe_loading import keep_global_state\n"
        "with keep_global_state('x'): pass\n"
        "print({'torch', 'numpy', 'PIL'} & set(sys.modules))"
    )
    told = {"PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run([sys.executable, "-c", program], env=told, capture_output=True, text=True)
    assert done.stdout == "set()\n", done.stderr


def test_loading_a_finished_student_names_nothing(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from mtkd_cli.inference.student import load_student
    from mtkd_cli.plugin.registry import load_registry

    load_student(str(run), load_registry())
    assert not capsys.readouterr().err


def test_handlers_of_a_plugin_are_restored() -> None:
    before = signal.getsignal(signal.SIGINT)
    with keep_global_state("a tracker"):
        signal.signal(signal.SIGINT, lambda *_: None)
    assert signal.getsignal(signal.SIGINT) is before
