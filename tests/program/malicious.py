"""Files of every format that hold what must not run, and bombs. What runs leaves a marker."""

from __future__ import annotations

import io
import json
import operator
import os
import pickle
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import skops.io
import torch
from onnx import TensorProto, helper
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from torch import Tensor, nn

os.environ["KERAS_BACKEND"] = "torch"

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
