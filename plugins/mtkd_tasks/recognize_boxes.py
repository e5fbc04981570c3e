"""Recognize the layout of a detector's raw outputs, from their shapes and values on a few images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from mtkd_cli.interfaces import OutputForm, OutputLayout, sides
from mtkd_tasks import boxes
from mtkd_tasks.box_layouts import BoxReader, columns_last, detr_tensors, single_tensor, tensors_in, units

THRESHOLD, IOU = 0.05, 0.65
"""Default minimum score of a box, and default overlap of suppressed boxes."""

MASK_COEFFICIENTS = 32
"""Number of further columns of YOLO models that also predict masks."""

CLEAR = 0.1
"""Minimum share of boxes that must speak against the usual form of a layout's boxes."""

UNITS = {True: "two corners", False: "center, width, height"}
SCORES = {
    "probabilities": "scores are probabilities",
    "sigmoid": "scores are logits of a sigmoid per class",
    "softmax": "scores are logits of a softmax, whose last class is the background",
}


def recognize(
    output: Any, declared: OutputLayout, size: int | tuple[int, int], classes: Sequence[str] | None
) -> OutputForm | None:
    """Return how to read raw outputs; None for relative boxes ``[B, M, 6]``, mtkd's own form.

    What the recipe declares is taken as it is. See `Task.output_form` for the arguments.

    Raises:
        ValueError: the outputs have no known layout; the message says what they are.
    """
    if isinstance(output, Tensor) and output.dim() != 3:
        raise ValueError(f"{tuple(output.shape)}; the task needs (samples, boxes, 6)")
    tensors = tensors_in(output)
    only = next(iter(tensors.values())) if len(tensors) == 1 else None
    if declared == OutputLayout() and only is not None and _is_own_form(only):
        return None
    layout = declared.layout or _layout(tensors, len(classes or ()))
    if layout == "end-to-end":
        rows = single_tensor(output)
        if rows.shape[2] != 6:
            raise ValueError(f"{tuple(rows.shape)}; layout end-to-end needs (samples, boxes, 6)")
        places, logits, count = rows[..., :4], rows[..., 4:5], 0
    elif layout == "detr":
        places, logits = detr_tensors(output)
        count = logits.shape[2]
    else:
        rows = columns_last(single_tensor(output))
        first = 5 if layout == "yolo5" else 4
        count = _class_count(rows, first, layout, classes)
        places, logits = rows[..., :4], rows[..., 4 : first + count]
    scale = declared.scale or ("pixels" if places.abs().max() > boxes.FARTHEST else "relative")
    unit = sides(size) if scale == "pixels" else (1, 1)
    relative = places / units(unit, places)
    corners = _are_corners(relative, layout) if declared.boxes is None else declared.boxes == "xyxy"
    scores = declared.scores or _kind_of_scores(logits, layout, len(classes or ()))
    reader = BoxReader(
        layout,
        count - (scores == "softmax"),
        corners,
        unit,
        scores,
        THRESHOLD if declared.threshold is None else declared.threshold,
        IOU if declared.iou is None else declared.iou,
    )
    is_yolo = layout.startswith("yolo")
    return OutputForm(
        reader,
        _describe(reader, places.shape[1]),
        reader.classes or None,
        has_background=False if is_yolo else None,
    )


def _is_own_form(rows: Tensor) -> bool:
    """Whether boxes ``[B, M, 6]`` are relative, or there are none."""
    return rows.shape[2] == 6 and bool(rows[..., :4].max() <= boxes.FARTHEST)


def _layout(tensors: dict[str, Tensor], names: int) -> str:
    """Return the layout of outputs.

    Args:
        tensors: outputs ``[B, *, *]`` by name.
        names: number of class names; 0 if unknown.
    """
    if not tensors:
        raise ValueError("no output (samples, boxes, columns); the task needs a tensor (samples, boxes, 6)")
    if len(tensors) > 1:
        return "detr"
    rows = next(iter(tensors.values()))
    if rows.shape[2] == 6 and _is_end_to_end(rows):
        return "end-to-end"
    if min(rows.shape[1:]) < 5:
        raise ValueError(f"{tuple(rows.shape)}; the task needs (samples, boxes, 6)")
    return "yolo8" if rows.shape[1] < rows.shape[2] or rows.shape[2] == 4 + names else "yolo5"


def _is_end_to_end(rows: Tensor) -> bool:
    """Whether the last column has class numbers, and the one before it scores."""
    labels, scores = rows[..., 5], rows[..., 4]
    return bool((labels % 1 == 0).all() and (labels >= -1).all() and (scores <= 1).all())


def _class_count(rows: Tensor, first: int, layout: str, classes: Sequence[str] | None) -> int:
    """Return the number of classes in rows ``[B, N, columns]``, of which ``first`` are not classes."""
    count = rows.shape[2] - first
    names = len(classes or ())
    if count < 1 or (names and count - names not in (0, MASK_COEFFICIENTS)):
        raise ValueError(
            f"{rows.shape[2]} columns for each box; layout {layout} with {names or 1} classes needs "
            f"{first + max(1, names)}"
        )
    return names or count


def _are_corners(places: Tensor, layout: str) -> bool:
    """Whether boxes ``[B, N, 4]``, relative to the sides, are corners."""
    corners = places[..., 2:] >= places[..., :2]
    as_corners = (corners & _is_inside(places[..., :2]) & _is_inside(places[..., 2:])).all(dim=-1)
    center, half = places[..., :2], places[..., 2:] / 2
    as_center = ((half >= 0) & _is_inside(center - half) & _is_inside(center + half)).all(dim=-1)
    gain = (as_corners.float().mean() - as_center.float().mean()).item()
    return gain > -CLEAR if layout == "end-to-end" else gain > CLEAR


def _is_inside(points: Tensor) -> Tensor:
    return (points > -0.1) & (points < 1.1)


def _kind_of_scores(logits: Tensor, layout: str, names: int) -> str:
    if bool((logits >= 0).all() and (logits <= 1).all()):
        return "probabilities"
    if layout != "detr":
        return "sigmoid"
    count = logits.shape[2]
    if names and count in (names, names + 1):
        return "softmax" if count == names + 1 else "sigmoid"
    # most queries of a DETR with a softmax find nothing, so the background has the largest logit
    finds_nothing = logits.argmax(dim=2) == count - 1
    return "softmax" if torch.mean(finds_nothing.float()) > 0.5 else "sigmoid"


def _describe(reader: BoxReader, count: int) -> str:
    """Return what was understood, as a sentence."""
    height, width = reader.size
    size = f"{height}" if height == width else f"{height} x {width}"
    unit = f"in pixels of {size}" if height > 1 else "relative to the sides"
    parts = [f"{count} boxes per image as {UNITS[reader.corners]}, {unit}", SCORES[reader.scores]]
    if reader.classes:
        parts.append(f"{reader.classes} classes")
    parts.append(f"threshold {reader.threshold:g}")
    if reader.layout.startswith("yolo"):
        parts.append(f"non-maximum suppression at IoU {reader.iou:g}")
    return f"its outputs have the layout {reader.layout}: {'; '.join(parts)}. Set outputs: if this is wrong"
