"""Provider `onnx`: exported files, run by onnxruntime."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import onnx
import pytest
import torch
from onnx import TensorProto, helper
from torch import nn

from mtkd_cli.errors import DataError, UsageError
from mtkd_cli.interfaces import Model, ModelRequest, OutputLayout
from mtkd_tasks.recognize_boxes import recognize
from mtkd_teachers.onnx import OnnxProvider
from mtkd_teachers.onnx_metadata import class_names, image_size
from tests.fixtures.detector_files import CLASSES, SIDE, write_detector

GENERATOR = torch.Generator().manual_seed(0)
WEIGHT = torch.randn(3, 48, generator=GENERATOR)
VIEWS = torch.rand(5, 3, 4, 4, generator=GENERATOR)


def write(path: str, shape: tuple[Any, ...] = ("n", 3, 4, 4), classes: object = None, **more: Any) -> str:
    """Write a linear classifier of flattened images; return its path."""
    weight = helper.make_tensor("w", TensorProto.FLOAT, (48, 3), WEIGHT.T.numpy().tobytes(), raw=True)
    nodes = [
        helper.make_node("Flatten", ["x"], ["flat"]),
        helper.make_node("MatMul", ["flat", "w"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["p"]),
    ]
    names = more.pop("outputs", ["logits"])
    outputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, (shape[0], 3)) for name in names]
    image = helper.make_tensor_value_info("x", more.pop("type", TensorProto.FLOAT), shape)
    model = helper.make_model(
        helper.make_graph(nodes, "g", [image], outputs, [weight]),
        opset_imports=[helper.make_opsetid("", 17)],
        ir_version=10,
    )
    if classes is not None:
        helper.set_model_props(model, {"classes": json.dumps(classes)})
    onnx.save(model, path, **more)
    return path


def build(reference: str) -> Model:
    return OnnxProvider().build(ModelRequest(reference, 3, 4, 3, True))


def by_hand(views: torch.Tensor) -> torch.Tensor:
    return nn.functional.linear(views.flatten(1), WEIGHT)


def test_matches_model() -> None:
    model = build(write("m.onnx", classes=["a", "b", "c"]))
    torch.testing.assert_close(model.module(VIEWS), by_hand(VIEWS), atol=1e-5, rtol=1e-5)
    assert (model.classes, model.trained) == (("a", "b", "c"), True)
    assert (model.input.size, model.input.channels) == (4, 3)
    assert model.weights == (48 * 3, 48 * 3 * 4)


@pytest.mark.parametrize("batch", [1, 2, 5, 8])
def test_fixed_batch_size_serves_any_number(batch: int) -> None:
    model = build(write("m.onnx", (batch, 3, 4, 4)))
    torch.testing.assert_close(model.module(VIEWS), by_hand(VIEWS), atol=1e-5, rtol=1e-5)


def test_channels_last() -> None:
    model = build(write("m.onnx", ("n", 4, 4, 3)))
    expected = by_hand(VIEWS.permute(0, 2, 3, 1))
    torch.testing.assert_close(model.module(VIEWS), expected, atol=1e-5, rtol=1e-5)
    assert (model.input.size, model.input.channels) == (4, 3)


def test_dynamic_size_uses_data_size() -> None:
    assert build(write("m.onnx", ("n", 3, "h", "w"))).input.size is None
    last = build(write("m.onnx", ("n", "h", "w", 3)))
    assert (last.input.size, last.input.channels) == (None, 3)
    torch.testing.assert_close(last.module(VIEWS), by_hand(VIEWS.permute(0, 2, 3, 1)), atol=1e-5, rtol=1e-5)


def test_selects_output_by_name() -> None:
    file = write("m.onnx", outputs=["logits", "p"])
    with pytest.raises(UsageError, match="2 outputs: logits, p") as caught:
        build(file)
    assert "onnx:m.onnx#logits" in caught.value.hint
    torch.testing.assert_close(build(f"{file}#p").module(VIEWS), by_hand(VIEWS).softmax(1))
    with pytest.raises(UsageError, match="no output 'logit'"):
        build(f"{file}#logit")


def test_files_include_external_weights() -> None:
    write("m.onnx", save_as_external_data=True, location="m.data", size_threshold=0)
    assert [path.name for path in OnnxProvider().files("m.onnx")] == ["m.onnx", "m.data"]
    torch.testing.assert_close(build("m.onnx").module(VIEWS), by_hand(VIEWS), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("location", ["../secret", "/etc/hostname", "gone.data"])
def test_rejects_weights_outside_folder(location: str) -> None:
    Path("../secret").write_bytes(bytes(1024))
    write("m.onnx", save_as_external_data=True, location="m.data", size_threshold=0)
    model = onnx.load("m.onnx", load_external_data=False)
    next(e for e in model.graph.initializer[0].external_data if e.key == "location").value = location
    Path("m.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(DataError, match="not a file in the model's folder"):
        build("m.onnx")


def test_rejects_unsupported_files() -> None:
    Path("bad.onnx").write_bytes(b"not a model")
    with pytest.raises(DataError, match=r"not an ONNX file|cannot load the model"):
        build("bad.onnx")
    with pytest.raises(DataError, match=r"no file gone\.onnx"):
        build("gone.onnx")
    with pytest.raises(DataError, match="2 x any"):
        build(write("half.onnx", ("n", 3, 2, "w")))


def test_takes_images_that_are_not_square() -> None:
    assert build(write("wide.onnx", ("n", 3, 2, 8))).input.size == (2, 8)


def test_detector_in_the_layout_of_yolo_with_its_metadata() -> None:
    metadata = {"names": "{0: 'red', 1: 'green', 2: 'blue'}", "imgsz": "[32, 32]", "stride": "8"}
    detector = write_detector("yolo.onnx", "yolo8", metadata)
    model = OnnxProvider().build(ModelRequest("yolo.onnx", 3, SIDE, 3, True, detector=True))
    assert (model.classes, model.input.size) == (CLASSES, SIDE)
    images = torch.rand(3, 3, SIDE, SIDE, generator=GENERATOR)
    raw = model.module(images)
    form = recognize(raw, OutputLayout(iou=0.6), SIDE, model.classes)
    assert form is not None
    with torch.no_grad():
        torch.testing.assert_close(form.convert(raw), detector(images), atol=1e-5, rtol=0)


def test_detector_with_several_outputs_returns_them_by_name() -> None:
    write_detector("detr.onnx", "detr")
    request = ModelRequest("detr.onnx", 3, SIDE, 3, True, detector=True)
    raw = OnnxProvider().build(request).module(torch.rand(2, 3, SIDE, SIDE))
    assert {name: tuple(value.shape) for name, value in raw.items()} == {
        "logits": (2, 80, 3),
        "pred_boxes": (2, 80, 4),
    }
    with pytest.raises(UsageError, match="2 outputs: logits, pred_boxes"):
        OnnxProvider().build(replace(request, detector=False))


def test_bytes_as_input() -> None:
    write("m.onnx")
    file = onnx.load("m.onnx")
    file.graph.input[0].type.tensor_type.elem_type = TensorProto.UINT8
    cast = helper.make_node("Cast", ["x"], ["float"], to=TensorProto.FLOAT)
    file.graph.node.insert(0, cast)
    file.graph.node[1].input[0] = "float"
    onnx.save(file, "m.onnx")
    model = build("m.onnx")
    assert model.input.range == (0, 255)
    pixels = (VIEWS * 255).round()
    torch.testing.assert_close(model.module(pixels - 0.3), by_hand(pixels), atol=1e-2, rtol=1e-5)


@pytest.mark.parametrize(
    ("metadata", "names", "side"),
    [
        ({"names": "{0: 'a', 1: 'b'}", "imgsz": "[640, 640]"}, ("a", "b"), 640),
        ({"names": "['a', 'b']", "imgsz": "640"}, ("a", "b"), 640),
        ({"names": '{"0": "a", "1": "b"}', "imgsz": "[384, 640]"}, ("a", "b"), (384, 640)),
        ({"classes": '["a"]', "names": "{0: 'b'}"}, ("a",), None),
        ({"mtkd": '{"classes": ["a", "b"]}'}, ("a", "b"), None),
        ({"names": "{0: 'a', 2: 'b'}"}, None, None),
        ({"names": "__import__('os').system('touch marker')", "imgsz": "x" * 2_000_000}, None, None),
        ({"names": "(" * 100_000}, None, None),
    ],
)
def test_metadata(metadata: dict[str, str], names: tuple[str, ...] | None, side: int | None) -> None:
    assert class_names(metadata) == names
    assert image_size(metadata) == side
    assert not Path("marker").exists()
