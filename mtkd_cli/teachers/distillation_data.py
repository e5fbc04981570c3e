"""The inputs of each distillation step: views, labels and the teachers' outputs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from mtkd_cli.data.views import PLAIN
from mtkd_cli.distributed.devices import to_device
from mtkd_cli.interfaces import MergesViews
from mtkd_cli.interfaces.missing_outputs import has_nonfinite
from mtkd_cli.interfaces.precision import at_least_float32
from mtkd_cli.teachers import recording
from mtkd_cli.teachers.features import TeacherFeatures, record_features
from mtkd_cli.teachers.outputs import ReadyTeacher
from mtkd_cli.training.context import Context
from mtkd_cli.training.loop import Step
from mtkd_cli.training.training_data import TrainingData


@dataclass(frozen=True)
class DistillationData(TrainingData):
    """Training samples with the teachers' outputs: recorded, or live if views are not recorded.

    Attributes:
        teachers: K teachers.
        features: their recorded features, if the student learns from them.
        raise_on_gaps: raise if a live teacher has non-finite outputs.
    """

    teachers: tuple[ReadyTeacher, ...] = ()
    features: tuple[TeacherFeatures, ...] = ()
    raise_on_gaps: bool = True

    @property
    def live_teachers(self) -> tuple[nn.Module, ...]:
        return tuple(teacher.live for teacher in self.teachers if teacher.live is not None)

    @property
    def keeps_outputs(self) -> bool:
        names = (_outputs_of(teacher) for teacher in self.teachers)
        return self.view_count is not None and self.cache.refused.isdisjoint(names)

    def teacher_outputs(self, step: Step) -> tuple[Tensor, ...]:
        if self.view_count is None:
            return self._live_outputs(step)
        number = self.view_number(step.epoch)
        return tuple(self._recorded_outputs(teacher, step, number) for teacher in self.teachers)

    def teacher_features(self, step: Step) -> tuple[Tensor, ...]:
        """Return the teachers' standardized features of a step's samples, K of ``[B, D_k]``."""
        return tuple(teacher(step) for teacher in self.features)

    def _recorded_outputs(self, teacher: ReadyTeacher, step: Step, number: int) -> Tensor:
        if isinstance(self.task, MergesViews) and self.merges_views and not teacher.by_id:
            return self._merged_outputs(teacher, self.task, step, number)
        number = PLAIN if teacher.by_id else number
        array = teacher.arrays["train", number]

        def read(step: Step) -> Tensor:
            return teacher.align(to_device(array[step.indices], self.device))

        return self.kept_rows(_outputs_of(teacher), number, step, read)

    @property
    def merges_views(self) -> bool:
        """Whether a teacher's outputs are merged over views, which all show the samples upright and whole."""
        changed = self.augment
        is_upright = changed.rotate == 0 and changed.randaugment is None
        is_whole = changed.crop == changed.resized_crop == 1 and not changed.mixes
        several = self.view_count is not None and self.view_count > 1
        can_merge = isinstance(self.task, MergesViews) and self.task.merges_views
        return can_merge and several and is_upright and is_whole and self.raise_on_gaps

    def _merged_outputs(self, teacher: ReadyTeacher, task: MergesViews, step: Step, number: int) -> Tensor:
        """Return a teacher's outputs on a step's views, merged over all recorded views of each sample."""

        def merge(step: Step) -> Tensor:
            rows, numbers = self.rows[step.indices], range(self.view_count or 1)
            outputs = [teacher.recorded_outputs("train", each, step.indices) for each in numbers]
            return to_device(
                task.merge_views(outputs, [self.moves(rows, each) for each in numbers]), self.device
            )

        def read(step: Step) -> Tensor:
            merged = self.kept_rows(f"merged views of {teacher.name}", PLAIN, step, merge)
            moves = self.moves(self.rows[step.indices], number)
            return task.transform_output(merged, None if moves is None else to_device(moves, self.device))

        return self.kept_rows(_outputs_of(teacher), number, step, read)

    def _live_outputs(self, step: Step) -> tuple[Tensor, ...]:
        with torch.no_grad():
            outputs = tuple(
                self._recorded_outputs(teacher, step, PLAIN)
                if teacher.live is None
                else teacher.align(at_least_float32(teacher.live(step.views)))
                for teacher in self.teachers
            )
        for teacher, output in zip(self.teachers, outputs, strict=True):
            gaps = has_nonfinite(output)
            if self.raise_on_gaps and gaps.any():
                index = step.indices[int(gaps.nonzero()[0].item())]
                raise recording.nonfinite_error(teacher.name, self.split.samples.ids[index])
        return outputs


def _outputs_of(teacher: ReadyTeacher) -> str:
    """Return the name of a teacher's outputs among what is kept."""
    return f"outputs of {teacher.name}"


def distillation_data(
    teachers: Sequence[ReadyTeacher], views: int | None, context: Context
) -> DistillationData:
    """Return the training samples with the teachers' outputs, and their features if the recipe needs them.

    Args:
        teachers: prepared teachers.
        views: number of recorded views; None to run the teachers live.
        context: context of the run.

    Raises:
        UsageError: the recipe needs features that cannot be recorded.
    """
    split, recipe = context.data.train, context.recipe
    resolved = [teacher.resolved for teacher in teachers]
    return DistillationData(
        context.task,
        split,
        np.arange(len(split)),
        views,
        recipe.views.seed,
        recipe.augment,
        context.device,
        tuple(teachers),
        record_features(resolved, views, context) if recipe.loss.features else (),
        raise_on_gaps=recipe.store.on_nan == "error",
    )
