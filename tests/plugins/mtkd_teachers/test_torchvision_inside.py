"""Detectors of torchvision in a ``python:`` file: outputs equal torchvision's."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from mtkd_cli.interfaces import InputSpec, Model, ModelRequest
from mtkd_cli.models.preprocess import complete_input, with_preprocessing
from mtkd_cli.recipe.schema import Input
from mtkd_tasks.boxes import from_lists
from mtkd_teachers.python import PythonProvider

FILE = """
import torch
from torch import nn
from torchvision.models.detection import FCOS, FasterRCNN, RetinaNet
from torchvision.models.detection.anchor_utils import AnchorGenerator
from mtkd_cli.interfaces import InputSpec, Model

class Body(nn.Sequential):
    out_channels = 32

    def __init__(self):
        super().__init__(nn.Conv2d(3, 32, 3, stride=8, padding=1), nn.ReLU())

SIZES = {"min_size": 48, "max_size": 48, "score_thresh": 0.0}

class Mine(FCOS):
    pass

class Two(FasterRCNN):
    pass

class Far(RetinaNet):
    pass

def one_stage(kind, outputs):
    torch.manual_seed(0)
    anchors = AnchorGenerator(((16,),), ((1.0,),))
    made = kind(Body(), outputs, anchor_generator=anchors, **SIZES)
    nn.init.normal_(made.head.classification_head.cls_logits.bias, std=1.0)
    return made

def two_stage(kind, outputs):
    torch.manual_seed(0)
    sizes = {"min_size": 48, "max_size": 48, "box_score_thresh": 0.0}
    return kind(Body(), outputs, rpn_anchor_generator=AnchorGenerator(((16,),), ((1.0,),)), **sizes)

def fcos(outputs): return one_stage(Mine, outputs + 1)
def retinanet(outputs): return one_stage(Far, outputs + 1)
def fasterrcnn(outputs): return two_stage(Two, outputs + 1)

class Wrapped(nn.Module):
    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def forward(self, images):
        side = images.shape[-1]
        return [{**found, "boxes": found["boxes"] / side} for found in self.inner(list(images))]

def wrapped(outputs): return Wrapped(fasterrcnn(outputs))
def declared(outputs): return Model(wrapped(outputs), InputSpec(size=32))
def as_it_is(outputs): return two_stage(FasterRCNN, outputs + 1)
"""
DATA = InputSpec(32, (0.4,), (0.2,), 3)
SIDE = 32


def build(name: str) -> Model:
    Path("detectors.py").write_text(FILE)
    made = PythonProvider().build(ModelRequest(f"detectors.py:{name}", 3, SIDE, 3, pretrained=False))
    return replace(made, input=complete_input(made.input, Input(), DATA))


def by_hand(module: Any, images: Tensor) -> Tensor:
    """Return plain torchvision's boxes for images from 0 to 1, relative to the sides."""
    plain = next(kind for kind in type(module).__mro__ if kind.__module__.startswith("torchvision"))
    with torch.no_grad():
        found = plain.forward(module, list(images))
    return from_lists([{**one, "boxes": one["boxes"] / SIDE} for one in found])


@pytest.mark.parametrize("name", ["fcos", "retinanet", "fasterrcnn", "wrapped", "declared"])
def test_matches_plain_torchvision(name: str) -> None:
    model = build(name)
    images = torch.rand(2, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(1))
    module = with_preprocessing(model).eval()
    with torch.no_grad():
        answer = from_lists(module(images))
    inner: nn.Module = model.module.inner if hasattr(model.module, "inner") else model.module  # type: ignore[assignment]
    expected = by_hand(inner, images)
    assert (expected[..., 5] >= 0).any()
    torch.testing.assert_close(answer, expected)
    assert model.normalizes


@pytest.mark.parametrize(
    ("name", "outputs", "has_background"),
    [
        ("fcos", 4, None),
        ("retinanet", 4, None),
        ("fasterrcnn", 4, True),
        ("wrapped", 4, None),
        ("declared", None, None),
        ("as_it_is", 3, False),
    ],
)
def test_declares_number_of_outputs(name: str, outputs: int | None, has_background: bool | None) -> None:
    model = build(name)
    assert (model.outputs, model.has_background) == (outputs, has_background)
    assert model.input.size == SIDE


def test_faster_rcnn_counts_classes_from_0() -> None:
    model = build("as_it_is")
    module: Any = model.module.eval()
    module.transform.min_size, module.transform.max_size = (SIDE,), SIDE
    images = torch.rand(2, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        answer = with_preprocessing(model).eval()(images)
    expected = by_hand(module, images)
    there = expected[..., 5] > 0
    assert there.any()
    torch.testing.assert_close(answer[there][:, :5], expected[there][:, :5])
    assert torch.equal(answer[there][:, 5], expected[there][:, 5] - 1)


def test_keeps_parameter_names() -> None:
    assert "head.classification_head.cls_logits.weight" in build("fcos").module.state_dict()
