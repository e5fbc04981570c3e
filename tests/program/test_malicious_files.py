"""No file runs code that the user did not trust, whatever its format could hold: three lines say why."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch
from typer.testing import CliRunner

from mtkd_cli.cli.app import create
from mtkd_cli.files import checksummed_json
from mtkd_cli.store import mapped_arrays
from tests.program.malicious import CHECKPOINTS, MARKER, MODELS, SKOPS, Evil, old_pickle, zipped_pickle

pytestmark = pytest.mark.filterwarnings("ignore")


def refused(*arguments: str) -> str:
    """Return what a command says, in at most three lines, when it refuses; nothing of a file has run."""
    result = CliRunner().invoke(create(with_plugins=False), list(arguments))
    assert not MARKER.exists()
    assert result.exit_code in (2, 3), result.output
    said = result.stderr[result.stderr.index("error: ") :]
    assert 2 <= len(said.splitlines()) <= 3
    return said


@pytest.mark.parametrize("name", CHECKPOINTS)
def test_of_a_teachers_checkpoint(name: str) -> None:
    CHECKPOINTS[name](Path(name))
    assert name in refused("record", "digits", f"teachers=[{{model: 'mlp:4', checkpoint: {name}}}]")


@pytest.mark.parametrize("name", ["a.pt", "e.safetensors"])
def test_of_the_students_checkpoint(name: str) -> None:
    CHECKPOINTS[name](Path(name))
    teacher = "teachers=[{model: 'mlp:4', fit: {train: all, epochs: 1}}]"
    assert name in refused(
        "distill", "digits", teacher, f"student={{model: 'mlp:4', checkpoint: {name}}}", "--dry-run"
    )


@pytest.mark.parametrize("model", MODELS)
def test_of_a_model_in_a_file(model: str) -> None:
    MODELS[model](Path(model.partition(":")[2]))
    assert model.partition(":")[2] in refused("record", "digits", f"teachers=['{model}']")


@pytest.mark.parametrize("name", SKOPS)
def test_of_an_estimator(name: str) -> None:
    SKOPS[name](Path(name))
    assert name in refused("record", "diabetes", f"teachers=['sklearn:{name}']")


def test_of_a_gzipped_data_set() -> None:
    with gzip.open("train-images-idx3-ubyte.gz", "wb", compresslevel=1) as file:
        for _ in range(2**6 + 1):
            file.write(bytes(2**20))
    assert "too large" in refused("record", "fashion-mnist", "data.path=.", "teachers=['mlp:4']")


def test_of_weights_in_a_librarys_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    repository = tmp_path / "models--timm--resnet18.a1_in1k"
    for folder in ("refs", "snapshots/1"):
        (repository / folder).mkdir(parents=True)
    (repository / "refs/main").write_text("1")
    old_pickle(repository / "snapshots/1/pytorch_model.bin")
    assert "resnet18" in refused("record", "digits", "teachers=['timm:resnet18']")


def a_run(**changes: Any) -> Path:
    """Return a run folder with valid checksums, as an attacker can create one."""
    run, weights = Path("runs/evil"), safetensors.torch.save({"a": torch.zeros(1)})
    run.mkdir(parents=True)
    (run / "student.safetensors").write_bytes(weights)
    facts = {
        "format": 1,
        "model": "mlp:4",
        "provider": "mtkd:mlp",
        "request": {"model": "4", "channels": 1, "size": 8, "outputs": 10},
        "task": {"name": "mtkd:classification", "options": {}},
        "loss": {},
        "data": {"name": "digits"},
        "classes": [str(number) for number in range(10)],
        "input": {"size": 8, "channels": 1, "mean": [0.5], "std": [0.5], "columns": []},
        "scale": None,
        "reads": {"kind": "image", "fit": "crop", "size": 8, "channels": 1, "columns": []},
        "labels": {"shape": [], "dtype": "int64"},
        "test": {"accuracy": 0.5},
        "weights": hashlib.sha256(weights).hexdigest(),
    }  # fmt: skip
    checksummed_json.write(run / "student.json", {**facts, **changes})
    return run


USES = (
    ("evaluate", "evil"),
    ("predict", "evil", "."),
    ("export", "evil"),
    ("record", "digits", "teachers=['run:evil']"),
)


@pytest.mark.parametrize("command", USES, ids=lambda use: use[0])
def test_of_a_runs_student(command: tuple[str, ...]) -> None:
    evil = pickle.dumps(Evil())
    (a_run(weights=hashlib.sha256(evil).hexdigest()) / "student.safetensors").write_bytes(evil)
    assert "not a safetensors file" in refused(*command)


@pytest.mark.parametrize("provider", ["exported", "run", "onnx", "sklearn", "keras"])
def test_of_a_student_that_says_it_is_made_of_another_file(provider: str) -> None:
    zipped_pickle(Path("a.pt"))
    request = {"model": "a.pt", "channels": 1, "size": 8, "outputs": 10}
    a_run(provider=f"mtkd:{provider}", request=request)
    assert "cannot build students" in refused("evaluate", "evil")


def test_of_a_student_that_says_that_its_file_is_trusted() -> None:
    zipped_pickle(Path("a.pt"))
    trusted = [str(Path("a.pt").resolve())]
    request = {"model": "a.pt", "channels": 1, "size": 8, "outputs": 10, "trusted": trusted}
    a_run(provider="mtkd:exported", request=request)
    assert "request.trusted" in refused("evaluate", "evil")


@pytest.mark.parametrize("command", USES, ids=lambda use: use[0])
def test_of_a_students_own_code(command: tuple[str, ...]) -> None:
    Path("mine.py").write_text(f"open({str(MARKER)!r}, 'w').close()\n")
    a_run(provider="mtkd:python", request={"model": "mine.py:build", "channels": 1, "size": 8, "outputs": 10})
    assert "--trust-code" in refused(*command)


def test_of_a_checkpoint_to_go_on_from(tmp_path: Path) -> None:
    from mtkd_cli.errors import DataError
    from mtkd_cli.training import checkpoint

    folder = tmp_path / "step-000000001"
    folder.mkdir()
    content = {"tensors.safetensors": pickle.dumps(Evil()), "facts.json": b"{}"}
    content |= {"training.safetensors": content["tensors.safetensors"]}
    for name, data in content.items():
        (folder / name).write_bytes(data)
    (folder / "manifest.json").write_text(
        json.dumps({n: hashlib.sha256(d).hexdigest() for n, d in content.items()})
    )
    with pytest.raises(DataError, match="every checkpoint is damaged"):
        checkpoint.load_newest(tmp_path)
    assert not MARKER.exists()


def test_of_an_array_of_objects_in_the_store(tmp_path: Path) -> None:
    """Mapped, its bytes would be followed as addresses."""
    head = io.BytesIO()
    np.lib.format.write_array_header_1_0(head, {"descr": "|O", "fortran_order": False, "shape": (4,)})
    (tmp_path / "a.npy").write_bytes(head.getvalue() + b"\x41" * 32)
    with pytest.raises(ValueError, match="objects"):
        mapped_arrays.map_array(tmp_path / "a.npy")
