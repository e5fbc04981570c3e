"""Pseudo-labels for detectors: all boxes of the teachers above a threshold, as if they were labels."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor

from mtkd_cli.data.views import PLAIN
from mtkd_cli.interfaces import Merged
from mtkd_cli.teachers.distillation_data import DistillationData
from mtkd_cli.teachers.outputs import ReadyTeacher
from mtkd_cli.training.context import Context
from mtkd_tasks import boxes
from mtkd_tasks.average_precision import columns_of, facts
from mtkd_tasks.detection import Detection

THRESHOLDS = tuple(np.arange(0.1, 0.75, 0.05).round(2).tolist())


def best_threshold(context: Context, teachers: list[ReadyTeacher]) -> float:
    """Return the threshold whose boxes have the best F1 on validation, at an overlap of 0.5."""
    val = context.data.val
    outputs = [teacher.recorded_outputs("val", PLAIN, val.labeled) for teacher in teachers]
    target = torch.from_numpy(val.samples.targets[val.labeled])
    columns = columns_of(len(context.data.classes))
    found = columns.unpack(facts(torch.cat(outputs, dim=1), target, len(context.data.classes)))
    hits, labels = (found["found"].long() & 1).bool(), found["labeled"].sum()

    def f1(threshold: float) -> float:
        kept = found["score"] >= threshold
        return float(2 * (hits & kept).sum() / (kept.sum() + labels))

    return max(THRESHOLDS, key=f1)


@contextmanager
def hard_boxes(threshold: float) -> Iterator[None]:
    """Teach every box of a teacher with a weight whose score is at least the threshold, with score 1.

    The boxes are those of the student's view; they are not merged over views.
    """
    own, own_views = Detection.mix, DistillationData.merges_views

    def mix(_: Detection, merged: Merged) -> Tensor:
        assert merged.weights is not None
        weighted = [
            boxes.without(output, (weight <= 0).unsqueeze(1).expand(output.shape[:2]))
            for output, weight in zip(merged.outputs, merged.weights, strict=True)
        ]
        every = torch.cat(weighted, dim=1).float()
        hard = torch.cat([every[..., :4], torch.ones_like(every[..., :1]), every[..., 5:]], dim=-1)
        return boxes.best_first(boxes.without(hard, every[..., 4] < threshold))

    Detection.mix = mix  # type: ignore[method-assign]
    DistillationData.merges_views = property(lambda _: False)  # type: ignore[assignment]
    try:
        yield
    finally:
        Detection.mix = own  # type: ignore[method-assign]
        DistillationData.merges_views = own_views  # type: ignore[method-assign]
