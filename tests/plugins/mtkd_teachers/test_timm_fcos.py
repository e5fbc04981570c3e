"""Provider `fcos`: a detector on a feature extractor of timm."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
from torch import nn

from mtkd_cli.errors import DataError, UsageError
from mtkd_cli.interfaces import DetectionTargets, Model, ModelRequest
from mtkd_teachers.timm_fcos import FcosProvider, choose_levels

SMALL = "timm/resnet10t@16-1"


def build(name: str = SMALL, size: Any = 64, channels: int = 3) -> Model:
    torch.manual_seed(0)
    return FcosProvider().build(ModelRequest(name, channels, size, 3, pretrained=False))


@pytest.mark.parametrize(
    ("side", "strides"), [(32, [4, 8]), (64, [4, 8, 16]), (128, [8, 16, 32]), (640, [8, 16, 32]), (12, [])]
)
def test_levels_follow_the_size_of_the_images(side: int, strides: list[int]) -> None:
    available = [2, 4, 8, 16, 32]
    assert [available[level] for level in choose_levels(available, side)] == strides


def test_last_of_equal_levels_counts() -> None:
    assert choose_levels([4, 16, 16, 16], 224) == [0, 3]


@pytest.mark.parametrize(
    ("name", "size", "channels"),
    [(SMALL, 64, 3), (SMALL, (48, 96), 1), ("timm/mobilenetv3_small_050", 128, 3), ("timm/resnet18", 32, 1)],
)
def test_predicts_and_trains(name: str, size: Any, channels: int) -> None:
    model = build(name, size, channels)
    images = torch.rand(2, channels, *((size, size) if isinstance(size, int) else size))
    targets = DetectionTargets(
        torch.tensor([[[0.1, 0.1, 0.5, 0.5]], [[0.0, 0.0, 0.0, 0.0]]]),
        torch.tensor([[1], [-1]]),
        torch.tensor([[1.0], [0.0]]),
    )
    loss = model.module.train()(images).loss(targets, 1.0)
    loss.sum().backward()
    assert loss.shape == (2,)
    assert all(p.grad.isfinite().all() for p in model.module.parameters() if p.grad is not None)
    with torch.no_grad():
        assert model.module.eval()(images).shape == (2, 100, 6)


def test_resized_keeps_the_extractor() -> None:
    model = build()
    assert model.resized is not None
    other = model.resized(5)
    before, after = model.module.state_dict(), other.module.state_dict()
    changed = [name for name in before if before[name].shape != after[name].shape]
    assert changed == [
        "head.classification_head.cls_logits.weight",
        "head.classification_head.cls_logits.bias",
    ]
    assert torch.equal(
        before["backbone.extractor.conv1.0.weight"], after["backbone.extractor.conv1.0.weight"]
    )


def test_exported_boxes_are_equal() -> None:
    module: Any = build(size=32).module.eval()
    for layer in (module.head.classification_head.cls_logits, module.head.regression_head.bbox_reg):
        nn.init.normal_(layer.weight, std=0.3)
    images = torch.rand(1, 3, 32, 32)
    torch.onnx.export(
        module, (images,), "fcos.onnx", dynamo=True, verbose=False, external_data=False, opset_version=18
    )
    session = onnxruntime.InferenceSession("fcos.onnx", providers=["CPUExecutionProvider"])
    (found,) = session.run(None, {session.get_inputs()[0].name: images.numpy()})
    with torch.no_grad():
        expected = module(images).numpy()
    assert (expected[..., 4] > 0).sum() > 10
    np.testing.assert_allclose(found, expected, atol=1e-4)


@pytest.mark.parametrize(
    ("name", "size", "reason"),
    [
        ("resnet18", 64, "names no library"),
        ("timm/resnet999", 64, "no model 'resnet999'"),
        ("timm/resnet18@20", 64, "invalid width and depth '20'"),
        ("timm/resnet18@16-1-2", 64, "invalid width and depth"),
        ("timm/resnet18", 8, "no level with 4 cells"),
    ],
)
def test_names_what_is_wrong(name: str, size: int, reason: str) -> None:
    with pytest.raises((UsageError, DataError), match=reason):
        build(name, size)
