"""How a teacher lays out its raw outputs, and how they are converted to the task's form."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal


@dataclass(frozen=True)
class OutputLayout:
    """What a recipe says about a detector's raw outputs; None: recognized from them.

    Attributes:
        layout: ``yolo8``: ``[B, 4 + C, N]``, boxes and scores of the classes. ``yolo5``: ``[B, N, 5 + C]``,
            boxes, a score of the object, and scores of the classes. ``end-to-end``: ``[B, N, 6]``, corners,
            score and class number, after non-maximum suppression. ``detr``: boxes ``[B, N, 4]`` and class
            logits ``[B, N, C]``.
        boxes: ``xyxy``: two corners. ``xywh``: center, width and height.
        scale: unit of the boxes: ``pixels`` of the model's input, or ``relative`` to its sides.
        scores: ``probabilities``; or logits, for one ``sigmoid`` per class or a ``softmax`` whose last class
            is the background.
        threshold: minimum score of a box.
        iou: overlap of two boxes of a class above which the lower one is suppressed.
    """

    layout: Literal["yolo8", "yolo5", "end-to-end", "detr"] | None = None
    boxes: Literal["xyxy", "xywh"] | None = None
    scale: Literal["pixels", "relative"] | None = None
    scores: Literal["probabilities", "sigmoid", "softmax"] | None = None
    threshold: float | None = None
    iou: float | None = None


@dataclass(frozen=True)
class OutputForm:
    """How a task reads a model's raw outputs.

    Attributes:
        convert: function from raw outputs to a form that `Task.to_task_shape` takes.
        remark: what was understood, as a phrase to show to the user.
        outputs: see `Model.outputs`.
        has_background: see `Model.has_background`.
    """

    convert: Callable[[Any], Any]
    remark: str
    outputs: int | None = None
    has_background: bool | None = None
