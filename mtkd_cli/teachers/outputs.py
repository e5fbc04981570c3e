"""Outputs of teachers that are ready, as the strategy is given them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from mtkd_cli.data.views import PLAIN
from mtkd_cli.errors import DataError
from mtkd_cli.interfaces import Alignment, Task
from mtkd_cli.models.preprocess import Prepared
from mtkd_cli.recipe.schema import Teacher
from mtkd_cli.report.calibration import Calibration
from mtkd_cli.store.recorded_outputs import Recorded
from mtkd_cli.store.rounding import Rounding, largest
from mtkd_cli.teachers.label_alignment import aligned_to
from mtkd_cli.teachers.resolved_teacher import ResolvedTeacher
from mtkd_cli.teachers.temperature import softened
from mtkd_cli.teachers.validation import Validated
from mtkd_cli.training.context import Context


@dataclass(frozen=True)
class ReadyTeacher:
    """A teacher whose answers can be read.

    Attributes:
        resolved: its entry in the recipe, its provider and its content key.
        task: the task that it answers.
        alignment: its label space in the task's classes.
        facts: its costs, input size, number of outputs, class names and remarks.
        arrays: the recorded answers of each (split name, view number).
        live: the loaded teacher, only where views are not recorded.
        calibration: the temperature that its aligned answers are divided by, if there is one.
        validation: how its recorded answers score on the labeled validation samples.
    """

    resolved: ResolvedTeacher
    task: Task
    alignment: Alignment
    facts: Mapping[str, Any]
    arrays: Mapping[tuple[str, int], Recorded]
    live: Prepared | None = None
    calibration: Calibration | None = None
    validation: Validated | None = None

    @property
    def name(self) -> str:
        """Name in the recipe."""
        return self.resolved.name

    @property
    def hash(self) -> str:
        """Digest of everything that decides its outputs."""
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
        """How much recording changed its outputs; None if nothing is recorded, or it was not kept."""
        parts = [array.rounding for array in self.arrays.values()]
        known = [part for part in parts if part is not None]
        return largest(known) if known and len(known) == len(parts) else None

    @property
    def own_classes(self) -> list[list[str]]:
        """For each of the task's classes, the teacher's own that answer it."""
        names = self.facts["classes"]
        return [[names[i] if names else str(i) for i in group] for group in self.alignment.groups]

    def recorded(self, split: str, number: int, rows: Any = slice(None)) -> Tensor:
        """Return the aligned answers on a view of some samples of a split, ``[B, C, *]``."""
        return self.aligned(self.arrays[split, PLAIN if self.by_id else number][rows])

    def aligned(self, outputs: Tensor) -> Tensor:
        """Return outputs as recorded, or as answered live, in the task's classes, calibrated."""
        try:
            aligned = self.task.aligned(outputs, self.alignment)
        except ValueError as error:
            raise DataError(
                f"the teacher gives {error}",
                where=f"teacher {self.name!r}",
                hint="name every class number with classes:, or set background: first or none",
            ) from error
        return softened(aligned, self.calibration.temperature) if self.calibration else aligned


def alignment_of(
    teacher: Teacher, classes: Sequence[str] | None, outputs: int, context: Context
) -> Alignment:
    """Return how a teacher's label space fits the data's.

    Raises:
        DataError: it does not.
    """
    task = context.task
    mapping = None if teacher.fit else teacher.map
    found = aligned_to(classes, context.data.classes, task.counted(outputs), teacher.name, mapping)
    return replace(found, named=None) if teacher.fit else found  # a fitted one may have spare outputs


def known_classes(teachers: list[ReadyTeacher]) -> Tensor | None:
    """Return the classes that each teacher knows, ``[K, C]`` bool; None if all know all."""
    known = torch.tensor([teacher.alignment.known for teacher in teachers])
    return None if known.all() else known
