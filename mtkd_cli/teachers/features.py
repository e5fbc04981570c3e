"""Teachers' features: the input of the last layer, one vector per sample, recorded like outputs."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from mtkd_cli.data.views import PLAIN, views_of
from mtkd_cli.distributed import group
from mtkd_cli.distributed.devices import to_device
from mtkd_cli.errors import UsageError
from mtkd_cli.interfaces import Model
from mtkd_cli.models.feature_projectors import average_positions
from mtkd_cli.models.preprocess import with_preprocessing
from mtkd_cli.recipe.schema import Augment
from mtkd_cli.store import content_store, recorded_outputs
from mtkd_cli.store.recorded_outputs import RecordedArray
from mtkd_cli.store.row_format import Layout
from mtkd_cli.teachers import recording
from mtkd_cli.teachers.fine_tuning import fit_teacher
from mtkd_cli.teachers.inference import outputs_by_view
from mtkd_cli.teachers.load import load_teacher
from mtkd_cli.teachers.recording import RecordingJob
from mtkd_cli.teachers.resolved_teacher import ResolvedTeacher
from mtkd_cli.training.context import Context
from mtkd_cli.training.loop import Step

MIN_DEVIATION = 1e-3
"""Lower limit of the deviation that features are divided by."""
CHUNK_ROWS = 4096
"""Rows read at once."""


@dataclass(frozen=True)
class TeacherFeatures:
    """One teacher's features of the training samples.

    Attributes:
        arrays: recorded features of each view, ``[N, D]``.
        mean: mean of each feature, ``[D]``.
        deviation: standard deviation of each feature, ``[D]``.
    """

    arrays: tuple[RecordedArray, ...]
    mean: Tensor
    deviation: Tensor

    @property
    def size(self) -> int:
        """Length of a feature vector, D."""
        return len(self.mean)

    def __call__(self, step: Step) -> Tensor:
        """Return the standardized features of a step's samples, ``[B, D]``, on the device of its views."""
        rows = self.arrays[step.epoch % len(self.arrays)][step.indices]
        return to_device((rows - self.mean) / self.deviation, step.views.device)


class FeatureExtractor(nn.Module):
    """A model without its last layer: views to features ``[B, D]``, averaged over positions if spatial."""

    def __init__(self, model: Model) -> None:
        super().__init__()
        module = copy.deepcopy(model.module)
        parent, _, name = model.head.rpartition(".")
        setattr(module.get_submodule(parent), name, nn.Identity())
        self.model = with_preprocessing(replace(model, module=module, scale=None, to_task_shape=None))

    def forward(self, views: Tensor) -> Tensor:
        """Return the features of views ``[B, C, H, W]``."""
        return average_positions(self.model(views))


def record_features(
    teachers: Iterable[ResolvedTeacher], views: int | None, context: Context
) -> tuple[TeacherFeatures, ...]:
    """Return every teacher's features of the training samples; record missing ones.

    Raises:
        UsageError: views are not recorded, or a teacher has no last layer to remove.
    """
    views = require_recorded_views(views)
    return tuple(_features_of(teacher, views, context) for teacher in teachers)


def require_recorded_views(views: int | None) -> int:
    """Return the number of recorded views.

    Raises:
        UsageError: the views are live.
    """
    if views is None:
        raise UsageError("loss.features needs recorded views", where="views", hint="set views: 1, or auto")
    return views


def require_last_layer(model: Model, name: str) -> None:
    """Raise if a teacher has no last layer whose input can be recorded.

    Raises:
        UsageError: it has none.
    """
    if not model.head:
        raise UsageError(
            f"the teacher {name!r} has no last layer, so it has no features to learn from",
            where="loss.features",
            hint="remove loss.features, or this teacher",
        )


def feature_keys(teacher: ResolvedTeacher, views: int, context: Context) -> list[dict[str, Any]]:
    """Return the key of a teacher's recorded features for each view."""
    split, recipe, task = context.data.train, context.recipe, context.task
    keys = [recording.key(teacher.key, split, number, recipe, task) for number in range(views)]
    return [{**key, "what": "features"} for key in keys]


def _features_of(teacher: ResolvedTeacher, views: int, context: Context) -> TeacherFeatures:
    split, keys = context.data.train, feature_keys(teacher, views, context)
    found = group.first_then_others(
        lambda: {number: recorded_outputs.find(key, len(split)) for number, key in enumerate(keys)}
    )
    own_missing = [number for number, array in found.items() if array is None]
    missing = group.broadcast(own_missing)
    if not set(own_missing) <= set(missing):
        raise content_store.unshared_store_error(content_store.root())
    if missing:
        model = load_teacher(teacher.part, teacher.entry, context.data, context.task)
        model = fit_teacher(model, teacher, context)
        found |= _record(model, teacher.name, {number: keys[number] for number in missing}, context)
    arrays = tuple(array for array in found.values() if array is not None)
    return TeacherFeatures(arrays, *_statistics(arrays[PLAIN]))


def _record(
    model: Model, name: str, keys: dict[int, dict[str, Any]], context: Context
) -> dict[int, RecordedArray]:
    require_last_layer(model, name)
    split, recipe = context.data.train, context.recipe
    module = FeatureExtractor(model).to(context.device).eval().requires_grad_(False)
    views = views_of(split, slice(2), PLAIN, 0, Augment(), context.device)
    with torch.inference_mode():
        layout = Layout((int(module(views).shape[1]),), "fp32")
    jobs = [
        RecordingJob(
            name,
            outputs_by_view(module, recipe, context.device),
            layout,
            split,
            number,
            key,
            recording.batch_size(model.input.size or 1, context.device),
            context.device,
            keep_gaps=recipe.store.on_nan == "drop",
        )
        for number, key in keys.items()
    ]
    arrays = recording.record_all(jobs, f"record features of {name}", context.progress)
    return dict(zip(keys, arrays, strict=True))


def _statistics(array: RecordedArray) -> tuple[Tensor, Tensor]:
    """Return mean and standard deviation ``[D]`` over the samples of an array, summed in float64."""
    total = square = torch.zeros(array.layout.shape, dtype=torch.float64)
    for start in range(0, len(array.rows), CHUNK_ROWS):
        part = array[start : start + CHUNK_ROWS].double()
        total, square = total + part.sum(dim=0), square + (part**2).sum(dim=0)
    mean = total / len(array.rows)
    deviation = (square / len(array.rows) - mean**2).clamp(min=0).sqrt()
    return mean.float(), deviation.clamp(min=MIN_DEVIATION).float()
