"""Provider `python`: models from a local file or a module."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from mtkd_cli.errors import DataError, UsageError
from mtkd_cli.interfaces import Model, ModelRequest
from mtkd_cli.safe_loading.local_code import source_hash
from mtkd_teachers.python import PythonProvider

FILE = """
from torch import nn
from mtkd_cli.interfaces import InputSpec, Model

def plain(outputs, channels, size):
    return nn.Sequential(nn.Flatten(), nn.Linear(channels * size * size, 6), nn.ReLU(), nn.Linear(6, outputs))

def nothing():
    return nn.Flatten()

def declared(pretrained):
    return Model(nn.Flatten(), InputSpec(size=7), classes=("a", "b"), trained=pretrained)

def any_keys(**given):
    return nn.Linear(3, given["outputs"])

def fails(outputs):
    raise ValueError("no such file")

def number():
    return 3

answer = 42
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "models.py"
    path.write_text(FILE)
    return path


def build(file: Path, name: str, pretrained: bool = False) -> Model:
    return PythonProvider().build(ModelRequest(f"{file}:{name}", 3, 8, 5, pretrained))


def test_passes_named_arguments(file: Path) -> None:
    model = build(file, "plain")
    assert model.head == "3"
    assert model.module(torch.zeros(2, 3, 8, 8)).shape == (2, 5)
    assert not model.trained
    assert model.classes is None


def test_model_without_linear_layer_has_no_head(file: Path) -> None:
    assert build(file, "nothing").head == ""


def test_factory_may_return_declared_model(file: Path) -> None:
    model = build(file, "declared", pretrained=True)
    assert (model.input.size, model.classes, model.trained) == (7, ("a", "b"), True)


def test_passes_all_arguments_to_kwargs(file: Path) -> None:
    assert build(file, "any_keys").module.out_features == 5


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("fails", "ValueError: no such file"),
        ("number", "returns a int"),
        ("answer", "factory fails: TypeError"),
    ],
)
def test_rejects_invalid_factories(file: Path, name: str, message: str) -> None:
    with pytest.raises(DataError, match=message) as caught:
        build(file, name)
    assert caught.value.where.endswith(f"models.py:{name}")


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ("nowhere.py:build", "no file nowhere.py"),
        ("no_such_module_at_all:build", "cannot be imported"),
        ("models.py", "does not name an attribute"),
    ],
)
def test_rejects_missing_code(reference: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        PythonProvider().build(ModelRequest(reference, 3, 8, 5, False))


def test_suggests_similar_name(file: Path) -> None:
    with pytest.raises(UsageError, match="has no 'plian'") as caught:
        build(file, "plian")
    assert "plain" in caught.value.hint


def test_loads_from_installed_module() -> None:
    model = PythonProvider().build(ModelRequest("torch.nn:Identity", 3, 8, 5, False))
    assert isinstance(model.module, torch.nn.Identity)


def test_identity_depends_on_code(file: Path) -> None:
    before = source_hash(f"{file}:plain")
    assert len(before) == 64
    file.write_text(FILE + "\n# changed\n")
    assert source_hash(f"{file}:plain") != before
    build(file, "plain")
    file.write_text(FILE.replace("6", "9"))
    assert build(file, "plain").module[1].out_features == 9
