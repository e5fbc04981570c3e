"""No file runs code that the user did not trust, whatever its format could hold: three lines say why."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import operator
import os
import pickle
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import safetensors.torch
import skops.io
import torch
from onnx import TensorProto, helper
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from torch import Tensor, nn
from typer.testing import CliRunner

from mtkd_cli import holds, sealed
from mtkd_cli.cli.app import create

os.environ["KERAS_BACKEND"] = "torch"

pytestmark = pytest.mark.filterwarnings("ignore")

MARKER = Path("marker")


class Evil:
    """Leaves the marker when it is unpickled."""

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (MARKER,)


class EvilScript(nn.Module):
    """Writes the marker when TorchScript loads it."""

    @torch.jit.export
    def __getstate__(self) -> tuple[int, bool]:
        return 0, False

    @torch.jit.export
    def __setstate__(self, state: tuple[int, bool]) -> None:
        self.training = state[1]
        print(torch.from_file("marker", True, 1))

    def forward(self, images: Tensor) -> Tensor:
        return images


def pickled(path: Path) -> None:
    path.write_bytes(pickle.dumps({"a": Evil()}))


def zipped_pickle(path: Path) -> None:
    torch.save({"a": Evil()}, path)


def old_pickle(path: Path) -> None:
    torch.save({"a": Evil()}, path, _use_new_zipfile_serialization=False)


def program(path: Path) -> None:
    """A real program whose weights are said to be pickled, and are."""
    torch.export.save(torch.export.export(nn.Flatten(), (torch.rand(2, 1, 8, 8),)), "good.pt2")
    evil = pickle.dumps(Evil())
    with zipfile.ZipFile("good.pt2") as good, zipfile.ZipFile(path, "w") as archive:
        for name in good.namelist():
            archive.writestr(name, evil if name.endswith(".pt") else good.read(name))


def script(path: Path) -> None:
    torch.jit.script(EvilScript()).save(str(path))
    MARKER.unlink(missing_ok=True)


def bomb(path: Path) -> None:
    """Half a gigabyte of zeros in half a megabyte, where every archive's reader looks."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name in ("model/data.pkl", "schema.json", "config.json", "ids.npy", "predictions.npy"):
            with archive.open(name, "w") as entry:
                for _ in range(128):
                    entry.write(bytes(2**20))


def skops_of(path: Path, function: object) -> None:
    evil = make_pipeline(FunctionTransformer(), LogisticRegression()).fit(np.eye(4), [0, 1, 0, 1])
    evil[0].func = function
    skops.io.dump(evil, path)


def keras_lambda(path: Path) -> None:
    import keras

    layer = keras.layers.Lambda(lambda x: (MARKER.touch(), x)[1])
    keras.Sequential([keras.Input((8, 8, 1)), layer, keras.layers.Flatten()]).save(path)
    MARKER.unlink(missing_ok=True)


def keras_pickle(path: Path) -> None:
    """A layer that wraps a torch module, whose configuration holds it as a pickle."""
    import keras

    keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Flatten()]).save("good.keras")
    content = io.BytesIO()
    torch.save(Evil(), content)
    with zipfile.ZipFile("good.keras") as good, zipfile.ZipFile(path, "w") as archive:
        for name in good.namelist():
            text = good.read(name)
            if name == "config.json":
                config = json.loads(text)
                config["config"]["layers"][1] = {
                    "module": "keras.layers",
                    "class_name": "TorchModuleWrapper",
                    "config": {"name": "evil", "module": {"class_name": "__bytes__", "config": {
                        "value": content.getvalue().hex()}}},
                    "registered_name": None,
                }  # fmt: skip
                text = json.dumps(config).encode()
            archive.writestr(name, text)


def keras_function(path: Path) -> None:
    """A configuration that names a function of the standard library instead of a layer."""
    call = {"module": "os", "class_name": "function", "config": "system", "registered_name": "system"}
    config = {
        "module": "builtins",
        "class_name": "function",
        "config": "exec",
        "registered_name": "exec",
        **call,
    }
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("config.json", json.dumps(config))
        archive.writestr("metadata.json", json.dumps({"keras_version": "3.11.3"}))


def onnx_outside(path: Path) -> None:
    Path("../secret").write_bytes(bytes(64 * 10 * 4))
    weight = helper.make_tensor("w", TensorProto.FLOAT, (64, 10), bytes(64 * 10 * 4), raw=True)
    node = helper.make_node("MatMul", ["x", "w"], ["y"])
    ends = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ("n", size))
        for name, size in (("x", 64), ("y", 10))
    ]
    model = helper.make_model(helper.make_graph([node], "g", ends[:1], ends[1:], [weight]), ir_version=10)
    onnx.save(model, path, save_as_external_data=True, location="w.data", size_threshold=0)
    model = onnx.load(path, load_external_data=False)
    model.graph.initializer[0].external_data[0].value = "../secret"
    path.write_bytes(model.SerializeToString())


def onnx_link(path: Path) -> None:
    onnx_outside(path)
    model = onnx.load(path, load_external_data=False)
    model.graph.initializer[0].external_data[0].value = "link.data"
    path.write_bytes(model.SerializeToString())
    Path("link.data").symlink_to("../secret")


def objects(path: Path) -> None:
    np.savez(path, ids=np.array(["0"]), predictions=np.array([[Evil()]], dtype=object))


def parquet_type(path: Path) -> None:
    """A column of a type that old readers unpickled."""
    import pyarrow
    from pyarrow import parquet

    told = {
        "ARROW:extension:name": "arrow.py_extension_type",
        "ARROW:extension:metadata": pickle.dumps(Evil()),
    }
    column = pyarrow.field("0", pyarrow.binary(), metadata=told)
    schema = pyarrow.schema([pyarrow.field("id", pyarrow.string()), column])
    parquet.write_table(pyarrow.table({"id": ["0"], "0": [b"1"]}, schema=schema), path)


def parquet_bomb(path: Path) -> None:
    """Fifty million equal numbers, of which the file keeps one and how often it stands there."""
    import pyarrow
    from pyarrow import parquet

    schema = pyarrow.schema([("id", pyarrow.int8()), ("0", pyarrow.int8())])
    with parquet.ParquetWriter(path, schema) as writer:
        part = pyarrow.table({name: pyarrow.array(np.zeros(10_000_000, np.int8)) for name in schema.names})
        for _ in range(5):
            writer.write_table(part, row_group_size=len(part))


def folder_of_pickle(path: Path) -> None:
    path.mkdir()
    (path / "config.json").write_text(
        json.dumps({"model_type": "vit", "architectures": ["ViTForImageClassification"]})
    )
    torch.save({"a": Evil()}, path / "pytorch_model.bin")


def header(length: int, content: bytes) -> Callable[[Path], None]:
    return lambda path: path.write_bytes(struct.pack("<Q", length) + content) and None


HUGE = json.dumps({"a": {"dtype": "F32", "shape": [2**40, 2**40], "data_offsets": [0, 8]}}).encode()
DEEP = b'{"a":' + b"[" * 10_000 + b"]" * 10_000 + b"}"

CHECKPOINTS: dict[str, Callable[[Path], None]] = {
    "a.pt": zipped_pickle,
    "b.pth": zipped_pickle,
    "c.pt": old_pickle,
    "d.bin": pickled,
    "e.safetensors": pickled,
    "f.safetensors": zipped_pickle,
    "g.pt2": program,
    "h.pt": script,
    "i.npz": objects,
    "bomb.pt": bomb,
    "length.safetensors": header(2**63, b"{}"),
    "beyond.safetensors": header(2**20, b"{}"),
    "huge.safetensors": header(len(HUGE), HUGE + bytes(8)),
    "deep.safetensors": header(len(DEEP), DEEP),
}

MODELS: dict[str, Callable[[Path], None]] = {
    "exported:a.pt2": program,
    "exported:b.pt": script,
    "exported:c.pt2": pickled,
    "exported:d.pt": zipped_pickle,
    "hf:folder": folder_of_pickle,
    "keras:a.keras": keras_lambda,
    "keras:b.keras": keras_pickle,
    "keras:c.keras": keras_function,
    "keras:d.keras": pickled,
    "keras:bomb.keras": bomb,
    "onnx:a.onnx": onnx_outside,
    "onnx:b.onnx": onnx_link,
    "onnx:c.onnx": pickled,
    "predictions:a.npz": objects,
    "predictions:b.npz": pickled,
    "predictions:c.parquet": parquet_type,
    "predictions:d.parquet": pickled,
    "predictions:bomb.npz": bomb,
    "predictions:bomb.parquet": parquet_bomb,
}

SKOPS: dict[str, Callable[[Path], None]] = {
    "a.skops": lambda path: skops_of(path, os.system),
    "b.skops": lambda path: skops_of(path, operator.methodcaller("touch")),
    "c.skops": pickled,
    "bomb.skops": bomb,
}


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
    assert "holds too much" in refused("record", "fashion-mnist", "data.path=.", "teachers=['mlp:4']")


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
    """Return a folder that vouches for what it holds, as whoever makes one can."""
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
        "weights": hashlib.sha256(weights).hexdigest(),
    }  # fmt: skip
    sealed.write(run / "student.json", {**facts, **changes})
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
    request = {
        "model": "a.pt",
        "channels": 1,
        "size": 8,
        "outputs": 10,
        "trusted": [str(Path("a.pt").resolve())],
    }
    a_run(provider=f"mtkd:{provider}", request=request)
    assert "builds no students" in refused("evaluate", "evil")


def test_that_a_students_own_code_runs_is_said_before(caplog: pytest.LogCaptureFixture) -> None:
    Path("mine.py").write_text("import logging\nlogging.getLogger('mtkd').warning('it runs')\n")
    a_run(provider="mtkd:python", request={"model": "mine.py:build", "channels": 1, "size": 8, "outputs": 10})
    CliRunner().invoke(create(with_plugins=False), ["record", "digits", "teachers=['run:evil']"])
    warning, it_runs = [record.getMessage() for record in caplog.records if record.name == "mtkd"]
    assert "runs local code: python:mine.py:build" in warning
    assert it_runs == "it runs"


def test_of_a_checkpoint_to_go_on_from(tmp_path: Path) -> None:
    from mtkd_cli import checkpoint
    from mtkd_cli.errors import DataError

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
        checkpoint.newest(tmp_path)
    assert not MARKER.exists()


def test_of_an_array_of_objects_in_the_store(tmp_path: Path) -> None:
    """Mapped, its bytes would be followed as addresses."""
    head = io.BytesIO()
    np.lib.format.write_array_header_1_0(head, {"descr": "|O", "fortran_order": False, "shape": (4,)})
    (tmp_path / "a.npy").write_bytes(head.getvalue() + b"\x41" * 32)
    with pytest.raises(ValueError, match="objects"):
        holds.mapped(tmp_path / "a.npy")
