"""Prepared teachers and their outputs, aligned to the task's classes and calibrated."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch
from torch import Tensor

from mtkd_cli.data.views import PLAIN
from mtkd_cli.errors import DataError
from mtkd_cli.interfaces import Alignment, HasScores, Task
from mtkd_cli.models.preprocess import Prepared
from mtkd_cli.recipe.schema import Teacher
from mtkd_cli.report.calibration import Calibration
from mtkd_cli.store.recorded_outputs import RecordedArray
from mtkd_cli.store.rounding import Rounding, max_rounding
from mtkd_cli.teachers.fit_classes import learned_classes
from mtkd_cli.teachers.label_alignment import align_classes
from mtkd_cli.teachers.resolved_teacher import ResolvedTeacher
from mtkd_cli.teachers.score_calibration import calibrate_scores
from mtkd_cli.teachers.temperature import divide_by_temperature
from mtkd_cli.teachers.validation import TeacherValidation
from mtkd_cli.training.context import Context


@dataclass(frozen=True)
class ReadyTeacher:
    """A prepared teacher.

    Attributes:
        resolved: its entry in the recipe, its provider and its content key.
        task: task of the run.
        alignment: alignment of its label space with the task's classes.
        facts: costs, input size, number of outputs, class names and remarks.
        arrays: recorded outputs by (split name, view number).
        live: the loaded teacher; None if views are recorded.
        calibration: its temperature; None if teachers are not calibrated.
        validation: its scores on the labeled validation samples.
    """

    resolved: ResolvedTeacher
    task: Task
    alignment: Alignment
    facts: Mapping[str, Any]
    arrays: Mapping[tuple[str, int], RecordedArray]
    live: Prepared | None = None
    calibration: Calibration | None = None
    validation: TeacherValidation | None = None

    @property
    def name(self) -> str:
        """Name in the recipe."""
        return self.resolved.name

    @property
    def hash(self) -> str:
        """Digest of its content key."""
        return self.resolved.hash

    @property
    def entry(self) -> Teacher:
        """Its entry in the recipe."""
        return self.resolved.entry

    @property
    def by_id(self) -> bool:
        """Whether its outputs are looked up by sample id."""
        return self.resolved.by_id

    @property
    def rounding(self) -> Rounding | None:
        """Largest rounding error of its recorded outputs; None if it is unknown for some."""
        roundings = [array.rounding for array in self.arrays.values()]
        known = [rounding for rounding in roundings if rounding is not None]
        return max_rounding(known) if known and len(known) == len(roundings) else None

    @property
    def own_classes(self) -> list[list[str]]:
        """The teacher's classes that make up each of the task's classes."""
        names = self.facts["classes"]
        return [[names[i] if names else str(i) for i in group] for group in self.alignment.groups]

    def recorded_outputs(self, split: str, number: int, rows: Any = slice(None)) -> Tensor:
        """Return the aligned recorded outputs for a view of some samples, ``[B, C, *]``."""
        return self.align(self.arrays[split, PLAIN if self.by_id else number][rows])

    def align(self, outputs: Tensor) -> Tensor:
        """Align raw outputs to the task's classes, and calibrate them.

        Args:
            outputs: raw outputs, ``[B, C_teacher, *]``, recorded or live.

        Raises:
            DataError: the outputs do not fit the alignment.
        """
        try:
            aligned = self.task.align(outputs, self.alignment)
        except ValueError as error:
            raise DataError(
                f"the teacher gives {error}",
                where=f"teacher {self.name!r}",
                hint="name every class number with classes:, or set background: first or none",
            ) from error
        if self.calibration is None:
            return aligned
        if isinstance(self.task, HasScores):
            return self.task.map_scores(aligned, partial(calibrate_scores, calibration=self.calibration))
        return divide_by_temperature(aligned, self.calibration.temperature)


def align_teacher(
    teacher: Teacher, classes: Sequence[str] | None, outputs: int, context: Context
) -> Alignment:
    """Align a teacher's label space with the data's classes.

    Raises:
        DataError: they do not match.
    """
    task = context.task
    mapping = None if teacher.fit else teacher.map
    alignment = align_classes(classes, context.data.classes, task.class_count(outputs), teacher.name, mapping)
    if not teacher.fit:
        return alignment
    learned = learned_classes(teacher.fit, context.data.classes, teacher.name)
    groups = tuple(
        group if is_learned else ()
        for group, is_learned in zip(alignment.groups, learned.tolist(), strict=True)
    )
    return replace(alignment, groups=groups, named=None)  # a fitted teacher may have spare outputs


def known_class_mask(teachers: list[ReadyTeacher]) -> Tensor | None:
    """Return the mask ``[K, C]`` of the classes that each teacher knows; None if all know all."""
    known = torch.tensor([teacher.alignment.known for teacher in teachers])
    return None if known.all() else known
