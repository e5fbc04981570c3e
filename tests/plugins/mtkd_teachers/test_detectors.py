"""Detectors: torchvision's outputs, training losses, exchange of weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torchvision.models import detection
from torchvision.ops import box_iou

from mtkd_cli.errors import UsageError
from mtkd_cli.interfaces import DetectionTargets, Model, ModelRequest
from mtkd_teachers.dense_answer import DenseAnswer, centerness, pairwise_iou, soften
from mtkd_teachers.detectors import as_detector, copy_matching_weights
from mtkd_teachers.python import PythonProvider
from mtkd_teachers.target_assignment import assign_by_center, assign_by_overlap
from mtkd_teachers.tiny_fcos import TinyFcosProvider
from mtkd_teachers.torchvision import TorchvisionProvider

STOCK = (
    "fcos_resnet50_fpn",
    "retinanet_resnet50_fpn",
    "ssdlite320_mobilenet_v3_large",
    "fasterrcnn_mobilenet_v3_large_320_fpn",
)
SIDE = 64
BOXES = torch.tensor([[[0.1, 0.1, 0.5, 0.5], [0.4, 0.5, 0.9, 0.9]]])


def target_boxes(
    scores: tuple[float, float] = (1.0, 1.0), target_classes: Tensor | None = None
) -> DetectionTargets:
    return DetectionTargets(BOXES, torch.tensor([[1, 2]]), torch.tensor([scores]), target_classes)


def no_boxes() -> DetectionTargets:
    return DetectionTargets(BOXES * 0, torch.tensor([[-1, -1]]), torch.zeros(1, 2))


def tiny(name: str = "16", outputs: int = 3, size: int = 32) -> Model:
    torch.manual_seed(0)
    return TinyFcosProvider().build(ModelRequest(name, 1, size, outputs, pretrained=False))


def stock(name: str, outputs: int = 3) -> Model:
    torch.manual_seed(0)
    return TorchvisionProvider().build(ModelRequest(name, 3, SIDE, outputs, pretrained=False))


@pytest.mark.parametrize("name", STOCK)
def test_matches_torchvision_at_any_size_and_trains(name: str) -> None:
    model = stock(name)
    module, images = model.module.eval(), torch.rand(1, 3, SIDE, SIDE)
    module.score_thresh = 0.0
    if hasattr(module, "roi_heads"):
        module.roi_heads.score_thresh = 0.0
    with torch.no_grad():
        if name.startswith("ssd"):  # an untrained one has equal scores everywhere
            for layer in module.modules():
                if isinstance(layer, nn.BatchNorm2d):
                    layer.momentum = 1.0
            module.train()(torch.rand(8, 3, SIDE, SIDE))
            module.eval()
        answer = module(images)
        module.transform.image_mean, module.transform.image_std = [0.0] * 3, [1.0] * 3
        module.transform.min_size, module.transform.max_size = (SIDE,), SIDE
        module.transform.fixed_size = (SIDE, SIDE) if name.startswith("ssd") else None
        base = next(kind for kind in type(module).__mro__ if kind.__module__.startswith("torchvision"))
        (expected,) = base.forward(module, list(images))
    background = name.startswith(("ssd", "fasterrcnn"))
    boxes = answer[0][answer[0, :, 4] > 0]
    count = min(len(boxes), 20)
    assert count
    assert (boxes[:count, :4] * SIDE - expected["boxes"][:count]).abs().max() < 1e-2
    assert boxes[:count, 4].tolist() == pytest.approx(expected["scores"][:count].tolist(), abs=1e-4)
    assert boxes[:count, 5].tolist() == (expected["labels"][:count] - int(background)).tolist()
    loss = module.train()(torch.rand(2, 3, SIDE, SIDE)).loss(
        DetectionTargets(
            BOXES.repeat(2, 1, 1), torch.tensor([[1, 2], [-1, -1]]), torch.tensor([[1.0, 1], [0, 0]])
        ),
        1.0,
    )
    assert loss.shape == (2,)
    loss.sum().backward()
    assert all(torch.isfinite(p.grad).all() for p in module.parameters() if p.grad is not None)


def test_keeps_torchvision_parameter_names() -> None:
    plain = detection.fcos_resnet50_fpn(weights=None, weights_backbone=None, num_classes=3)
    model = stock("fcos_resnet50_fpn")
    assert model.module.state_dict().keys() == plain.state_dict().keys()


def test_resized_keeps_matching_weights() -> None:
    model = tiny()
    assert model.resized is not None
    assert model.resized(3) is model
    other = model.resized(5)
    assert other.module.head.classification_head.cls_logits.out_channels == 5  # type: ignore[union-attr]
    same = [n for n, v in model.module.state_dict().items() if torch.equal(v, other.module.state_dict()[n])]
    assert len(same) == len(model.module.state_dict()) - 2


def test_python_file_may_return_torchvision_detector() -> None:
    Path("mine.py").write_text(
        "from torchvision.models.detection import ssdlite320_mobilenet_v3_large as ssd\n"
        "def build(outputs):\n"
        "    return ssd(weights=None, weights_backbone=None, num_classes=outputs + 1)\n"
    )
    model = PythonProvider().build(ModelRequest("mine.py:build", 3, SIDE, 3, pretrained=False))
    assert model.input.mean == (0.5, 0.5, 0.5)
    with torch.no_grad():
        assert model.module.eval()(torch.rand(1, 3, SIDE, SIDE)).shape == (1, 100, 6)


def test_as_detector_rejects_other_modules() -> None:
    assert as_detector(nn.Linear(1, 1)) is None


def test_tiny_detector_overfits_two_boxes() -> None:
    model = tiny()
    images = torch.zeros(1, 1, 32, 32)
    for x1, y1, x2, y2 in (BOXES[0] * 32).round().long().tolist():
        images[..., y1:y2, x1:x2] = 1 - 0.5 * (x1 > 8)
    optimizer = torch.optim.AdamW(model.module.parameters(), lr=1e-2)
    for _ in range(120):
        loss = model.module.train()(images).loss(target_boxes((1.0, 0.6)), 1.0).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        answer = model.module.eval()(images)[0]
    best = {int(label): answer[answer[:, 5] == label][0] for label in (1, 2)}
    for place, label in enumerate((1, 2)):
        assert (best[label][:4] - BOXES[0, place]).abs().max() < 0.07
    assert best[1][4] > best[2][4] > 0.3


def test_tiny_detector_parses_sizes() -> None:
    with pytest.raises(UsageError, match="invalid width and depth"):
        tiny("20")
    with pytest.raises(UsageError, match="invalid sizes"):
        tiny("big")
    assert tiny("8-3", size=96).input.size == 96


def dense(logits: Tensor, **more: Any) -> DenseAnswer:
    """Return a training output with four points in a row, each with its own box."""
    centers = torch.tensor([[0.125, 0.5], [0.375, 0.5], [0.625, 0.5], [0.875, 0.5]])
    places = torch.cat([centers - 0.125, centers + 0.125], dim=1)
    return DenseAnswer(logits, places[None], centers, assign_by_overlap(places, 0.5, 0.4), **more)


def test_class_target_is_box_score() -> None:
    places = dense(torch.zeros(1, 4, 2))
    one = DetectionTargets(places.boxes[:, :1], torch.tensor([[1]]), torch.tensor([[0.7]]))
    soft = torch.zeros(1, 4, 2)
    soft[0, 0, 1] = 0.7
    plain = nn.functional.binary_cross_entropy_with_logits(torch.zeros(1, 4, 2), soft, reduction="none")
    focused = (soft - 0.5).abs().square() * plain
    assert places.loss(one, 1.0).item() == pytest.approx(focused.sum().item(), rel=1e-4)
    unfocused = dense(torch.zeros(1, 4, 2), focus=0.0).loss(one, 1.0)
    assert unfocused.item() == pytest.approx(plain.sum().item(), rel=1e-4)


def test_uncertain_box_does_not_take_a_point() -> None:
    places = assign_by_center(torch.tensor([[0.4, 0.4, 0.6, 0.6]]), [1], 1.5)
    answer = DenseAnswer(torch.zeros(1, 1, 2), BOXES[:, :1], torch.tensor([[0.5, 0.5]]), places, focus=0.0)
    large, small = [0.2, 0.2, 0.8, 0.8], [0.45, 0.45, 0.56, 0.56]
    both = DetectionTargets(
        torch.tensor([[large, small]]), torch.tensor([[0, 1]]), torch.tensor([[0.9, 0.02]])
    )
    only = DetectionTargets(torch.tensor([[large]]), torch.tensor([[0]]), torch.tensor([[0.9]]))
    assert answer.loss(both, 1.0).item() == pytest.approx(answer.loss(only, 1.0).item(), rel=1e-4)


def test_overlapping_boxes_give_both_classes() -> None:
    logits = torch.zeros(1, 4, 2, requires_grad=True)
    box = dense(logits).boxes[:, 1:2].expand(-1, 2, -1)
    dense(logits, focus=0.0).loss(
        DetectionTargets(box, torch.tensor([[0, 1]]), torch.tensor([[0.9, 0.7]])), 1.0
    ).backward()
    assert logits.grad is not None
    assert (logits.grad[0, 1] < 0).all()  # both logits increase
    assert (logits.grad[0, 0] > 0).all()


@pytest.mark.parametrize("background", [False, True])
def test_unspoken_classes_have_no_gradient(background: bool) -> None:
    logits = torch.zeros(1, 4, 2 + background, requires_grad=True)
    answer = dense(logits, background=background)
    silent = DetectionTargets(
        answer.boxes[:, :1], torch.tensor([[0]]), torch.ones(1, 1), torch.tensor([[True, False]])
    )
    answer.loss(silent, 1.0).backward()
    assert logits.grad is not None
    assert (logits.grad[..., -1] == 0).all()
    assert (logits.grad[..., -2] != 0).any()


@pytest.mark.parametrize("background", [False, True])
def test_image_without_boxes_trains_background(background: bool) -> None:
    logits = torch.zeros(1, 4, 2 + background, requires_grad=True)
    dense(logits, background=background).loss(no_boxes(), 2.0).backward()
    assert logits.grad is not None
    assert (logits.grad[..., -1] >= 0).all()
    assert (logits.grad[..., -1] > 0).any()


def test_soften_divides_logits() -> None:
    scores = torch.tensor([0.0, 0.2, 0.9, 1.0])
    expected = torch.special.logit(scores) / 3
    assert soften(scores, 3.0).tolist() == pytest.approx(expected.sigmoid().tolist(), rel=1e-5)


def test_centerness_is_1_at_center_and_0_at_side() -> None:
    box = torch.tensor([[0.0, 0.0, 0.4, 0.4]])
    assert centerness(torch.tensor([[0.2, 0.2]]), box).item() == pytest.approx(1)
    assert centerness(torch.tensor([[0.1, 0.2]]), box).item() == pytest.approx((1 / 3) ** 0.5)
    assert centerness(torch.tensor([[0.0, 0.2]]), box).item() == 0


def test_box_is_assigned_to_best_anchor() -> None:
    anchors = torch.tensor([[0.0, 0.0, 0.5, 0.5], [0.5, 0.5, 1.0, 1.0], [0.0, 0.5, 0.5, 1.0]])
    assignment = assign_by_overlap(anchors, 0.5, 0.4)(torch.tensor([[[0.55, 0.55, 0.6, 0.6]]]))
    assert (assignment.strength[0, :, 0] > 0).tolist() == [False, True, False]


def test_overlaps_of_a_batch_are_those_of_torchvision() -> None:
    corners = torch.rand(2, 5, 2, 2, generator=torch.Generator().manual_seed(0)).sort(dim=2).values
    boxes = corners.flatten(2)
    boxes[1, 4] = 0  # padding
    found = pairwise_iou(boxes[:1], boxes)
    expected = torch.stack([box_iou(boxes[0], own).nan_to_num() for own in boxes])
    torch.testing.assert_close(found, expected)


def test_copies_matching_weights() -> None:
    first, second = (
        nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 3)),
        nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 4)),
    )
    before = second[1].weight.clone()
    copy_matching_weights(second, first)
    assert torch.equal(second[0].weight, first[0].weight)
    assert torch.equal(second[1].weight, before)
