"""Raw outputs of YOLO and DETR models are recognized, and read as the detector's own boxes."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from mtkd_cli.interfaces import OutputForm, OutputLayout
from mtkd_tasks.recognize_boxes import recognize
from tests.fixtures.detector_files import CLASSES, SIDE, Rearranged, small_detector

IMAGES = torch.rand(3, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0))
OWN = OutputLayout(iou=0.6)  # as FCOS has it


def form(output: Any, declared: OutputLayout = OWN, classes: tuple[str, ...] | None = None) -> OutputForm:
    found = recognize(output, declared, SIDE, classes)
    assert found is not None
    return found


def raw(layout: str) -> Any:
    with torch.no_grad():
        return Rearranged(small_detector(), layout)(IMAGES)


def expected() -> Tensor:
    with torch.no_grad():
        boxes: Tensor = small_detector().eval()(IMAGES)
    assert (boxes[..., 4] > 0.05).any(dim=1).all()
    return boxes


@pytest.mark.parametrize("classes", [None, CLASSES])
@pytest.mark.parametrize("layout", ["yolo8", "yolo5", "end-to-end"])
def test_reads_the_boxes_of_the_detector(layout: str, classes: tuple[str, ...] | None) -> None:
    found = form(raw(layout), classes=classes)
    torch.testing.assert_close(found.convert(raw(layout)), expected(), atol=1e-5, rtol=0)
    assert f"layout {layout}:" in found.remark
    assert found.outputs == (None if layout == "end-to-end" else 3)


def test_detr_gives_best_pairs_without_suppression() -> None:
    logits, boxes = raw("detr")
    found = form({"logits": logits, "pred_boxes": boxes})
    best, index = logits.sigmoid().flatten(1).topk(100)
    answer = found.convert({"last_hidden_state": logits, "logits": logits, "pred_boxes": boxes})
    torch.testing.assert_close(answer[..., 4], best)
    assert torch.equal(answer[..., 5].long(), index % 3)
    assert (found.outputs, found.has_background) == (3, None)


@pytest.mark.parametrize("classes", [None, CLASSES])
def test_softmax_drops_the_last_class(classes: tuple[str, ...] | None) -> None:
    logits, boxes = raw("detr")
    none = torch.full_like(logits[..., :1], 1.0)
    found = form([torch.cat([logits, none], dim=2), boxes], classes=classes)
    assert found.outputs == 3
    assert "softmax" in found.remark
    scores = torch.cat([logits, none], dim=2).softmax(dim=2)[..., :3]
    answer = found.convert((torch.cat([logits, none], dim=2), boxes))
    torch.testing.assert_close(answer[:, 0, 4], scores.amax(dim=(1, 2)))


def test_columns_may_come_last_or_first() -> None:
    found = form(raw("yolo8").transpose(1, 2), classes=CLASSES)
    torch.testing.assert_close(found.convert(raw("yolo8").transpose(1, 2)), expected(), atol=1e-5, rtol=0)


def test_recognizes_relative_boxes_corners_and_logits() -> None:
    rows = raw("yolo8").transpose(1, 2)
    center, half = rows[..., :2] / SIDE, rows[..., 2:4] / SIDE / 2
    corners = torch.cat([center - half, center + half, torch.logit(rows[..., 4:])], dim=2)
    found = form(corners.transpose(1, 2))
    assert "two corners, relative to the sides" in found.remark
    assert "sigmoid" in found.remark
    torch.testing.assert_close(found.convert(corners.transpose(1, 2)), expected(), atol=1e-5, rtol=0)


def test_ignores_mask_coefficients_if_names_are_known() -> None:
    rows = torch.cat([raw("yolo8"), torch.randn(3, 32, raw("yolo8").shape[2])], dim=1)
    torch.testing.assert_close(form(rows, classes=CLASSES).convert(rows), expected(), atol=1e-5, rtol=0)


def test_recipe_overrides_what_was_recognized() -> None:
    declared = OutputLayout("yolo8", "xyxy", "relative", "sigmoid", 0.3, 0.9)
    found = form(raw("yolo8"), declared)
    for part in ("two corners, relative", "sigmoid", "threshold 0.3", "IoU 0.9"):
        assert part in found.remark
    strict = form(raw("yolo8"), OutputLayout(threshold=0.2)).convert(raw("yolo8"))
    assert strict[strict[..., 4] > 0][:, 4].min() >= 0.2


def test_one_class_is_not_taken_for_class_numbers() -> None:
    rows = raw("yolo5")[..., :6]
    found = form(rows)
    assert (found.outputs, found.has_background) == (1, False)
    assert "layout yolo5" in found.remark


def test_relative_boxes_of_mtkd_stay_as_they_are() -> None:
    assert recognize(expected(), OutputLayout(), SIDE, None) is None
    assert recognize(torch.zeros(2, 100, 6), OutputLayout(), SIDE, None) is None


def test_no_boxes_above_the_threshold() -> None:
    rows = raw("yolo8")
    found = form(rows).convert(torch.cat([rows[:, :4], rows[:, 4:] * 1e-4], dim=1))
    assert (found[..., 5] == -1).all()
    assert (found[..., 4] == 0).all()


@pytest.mark.parametrize(
    ("output", "declared", "reason"),
    [
        (torch.zeros(2, 9, 3), OutputLayout(), "needs"),
        (torch.zeros(2, 5), OutputLayout(), r"\(2, 5\)"),
        ({"a": torch.zeros(2, 5)}, OutputLayout(), "no output"),
        (torch.zeros(2, 6, 80), OutputLayout("yolo8"), "6 columns for each box"),
        (torch.zeros(2, 80, 7), OutputLayout("end-to-end"), "needs"),
        (torch.zeros(2, 80, 7), OutputLayout("detr"), "logits"),
        ("text", OutputLayout(), "a str"),
    ],
)
def test_names_what_does_not_fit(output: Any, declared: OutputLayout, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        recognize(output, declared, SIDE, CLASSES)
