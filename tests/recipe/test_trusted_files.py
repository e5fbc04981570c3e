"""A file that may run code is loaded only if the user names it on the command line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import joblib
import pytest
import torch
from sklearn.datasets import load_diabetes
from sklearn.linear_model import Ridge
from torch import nn

from mtkd_cli import api
from mtkd_cli.errors import DataError, UsageError
from mtkd_cli.interfaces import ModelRequest
from mtkd_cli.safe_loading import weights
from mtkd_teachers.mlp import MlpProvider
from tests.fixtures.command_line import mtkd

RECIPE = ("digits", "data.labels=60", "teachers=[{model: 'mlp:8', checkpoint: teacher.pt}]", "student=mlp:4")


class Tell:
    """Leaves a marker when it is unpickled, and gives what it is told to."""

    def __init__(self, gives: object) -> None:
        self.gives = gives

    def __reduce__(self) -> tuple[object, ...]:
        return _told, (self.gives,)


def _told(gives: object) -> object:
    Path("marker").touch()
    return gives


def network() -> nn.Module:
    return MlpProvider().build(ModelRequest("8", 1, 8, 10, False)).module


@pytest.mark.parametrize(
    "wrap", [lambda m: m, lambda m: {"epoch": 3, "model": m}, lambda m: {"model": m.state_dict()}]
)
def test_loads_whole_module_from_trusted_checkpoint(wrap: Any) -> None:
    module = network()
    torch.save(
        {"more": Tell(1), **wrap(module)} if isinstance(wrap(module), dict) else wrap(module), "teacher.pt"
    )
    with pytest.raises(DataError, match="more than tensors") as error:
        weights.read("teacher.pt")
    assert error.value.hint.endswith("--trust-pickle teacher.pt")
    assert not Path("marker").exists()
    found, _ = weights.read("teacher.pt", trusted=True)
    assert all(torch.equal(found[name], tensor) for name, tensor in module.state_dict().items())


def test_trusted_file_needs_missing_package() -> None:
    torch.save(Tell(1), "teacher.pt")
    content = Path("teacher.pt").read_bytes()
    Path("teacher.pt").write_bytes(content.replace(b"_told", b"_gone"))
    with pytest.raises(DataError) as error:
        weights.read("teacher.pt", trusted=True)
    assert "PYTHONPATH" in error.value.hint


@pytest.mark.parametrize("command", ["record", "audit", "doctor", "distill", "compare"])
def test_commands_accept_trust_pickle(command: str) -> None:
    torch.save({"model": network().state_dict(), "more": Tell(1)}, "teacher.pt")
    more = ["--dry-run"] if command == "distill" else ["train.epochs=1"] if command == "compare" else []
    refused = mtkd(command, *RECIPE, *more)
    assert refused.exit_code == 3
    assert "--trust-pickle teacher.pt" in refused.output.replace("\n", "")
    assert not Path("marker").exists()
    allowed = mtkd(command, *RECIPE, *more, "--trust-pickle", "teacher.pt")
    assert allowed.exit_code == 0, allowed.output
    assert f"warning: code in this file may run: {Path('teacher.pt').resolve()}" in allowed.stderr
    assert Path("marker").exists()


@pytest.mark.filterwarnings("ignore::FutureWarning")
@pytest.mark.parametrize("file", ["teacher.pt2", "teacher.pt"])
def test_trusted_exported_program_is_a_teacher(file: str) -> None:
    module, views = network().eval(), torch.rand(2, 1, 8, 8)
    if file == "teacher.pt2":
        torch.export.save(torch.export.export(module, (views,)), file)
    else:
        torch.jit.script(module).save(file)
    recipe = ("digits", "data.labels=60", f"teachers=['exported:{file}']", "student=mlp:4")
    refused = mtkd("record", *recipe)
    assert refused.exit_code == DataError.exit_code
    assert refused.stderr.count("\n") == 3
    assert f"--trust-pickle {file}" in refused.stderr
    trusted = ("--trust-pickle", file)
    assert mtkd("record", *recipe, *trusted).exit_code == 0
    assert "all checksums match" in mtkd("store", "verify", *recipe, *trusted).stderr
    for fit in ("head", "all"):
        fitted = mtkd("record", *recipe, f"teachers.0.fit={fit}", *trusted)
        assert "it has no trainable parameters" in fitted.stderr
    assert mtkd("record", *recipe, f"student=exported:{file}", *trusted).exit_code == UsageError.exit_code


def test_trusted_joblib_file_is_a_teacher() -> None:
    rows, values = load_diabetes(return_X_y=True)
    joblib.dump(Ridge().fit(rows, values), "ridge.joblib")
    recipe = ("digits", "task=regression", "data={name: diabetes}", "student=mlp:4")
    teacher = "teachers=['sklearn:ridge.joblib']"
    refused = mtkd("record", *recipe, teacher, "--json")
    assert refused.exit_code == DataError.exit_code
    assert "--trust-pickle ridge.joblib" in json.loads(refused.stdout)["error"]["hint"]
    allowed = mtkd("record", *recipe, teacher, "--trust-pickle", "ridge.joblib")
    assert allowed.exit_code == 0, allowed.output
    assert "warning: code in this file may run" in allowed.stderr


def test_python_api_accepts_trust_pickle() -> None:
    torch.save({"model": network().state_dict(), "more": Tell(1)}, "teacher.pt")
    overrides: dict[str, Any] = {
        "data": {"labels": 60},
        "teachers": [{"model": "mlp:8", "checkpoint": "teacher.pt"}],
    }
    with pytest.raises(DataError, match="more than tensors"):
        api.record("digits", **overrides)
    assert api.record("digits", trust_pickle=["teacher.pt"], **overrides) == ["mlp-8"]


def test_rejects_missing_or_unused_trusted_file() -> None:
    missing = mtkd("record", *RECIPE, "--trust-pickle", "teacher.pt", "--json")
    assert missing.exit_code == UsageError.exit_code
    assert json.loads(missing.stdout)["error"]["message"] == "no file teacher.pt"
    Path("other.pt").touch()
    unused = mtkd("record", *RECIPE, "--trust-pickle", "other.pt", "--json")
    assert json.loads(unused.stdout)["error"]["message"] == "no model is loaded from other.pt"


def test_recipe_cannot_trust_files() -> None:
    refused = mtkd("record", *RECIPE, "teachers.0.trusted=[teacher.pt]", "--json")
    assert refused.exit_code == UsageError.exit_code
    assert "trusted" in refused.stdout
