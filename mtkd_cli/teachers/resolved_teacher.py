"""A teacher of the recipe with its provider and its content key, before it is loaded."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from mtkd_cli.recipe.resolve import ModelPart
from mtkd_cli.recipe.schema import Teacher
from mtkd_cli.store import content_store
from mtkd_cli.teachers.identity import teacher_key
from mtkd_cli.training.context import Context


@dataclass(frozen=True)
class ResolvedTeacher:
    """A teacher's entry in the recipe, its provider, and its content key.

    Attributes:
        entry: entry in the recipe.
        part: provider of the teacher.
        context: context of the run.
    """

    entry: Teacher
    part: ModelPart
    context: Context

    @property
    def name(self) -> str:
        """Name in the recipe, in tables and in messages."""
        return self.entry.name

    @property
    def by_id(self) -> bool:
        """Whether its outputs are looked up by sample id: every view uses those for view 0."""
        return self.part.spec.by_id

    @cached_property
    def _usual_key(self) -> dict[str, Any]:
        return teacher_key(self.entry, self.part, self.context)

    @cached_property
    def key(self) -> dict[str, Any]:
        """Everything that affects its outputs. Reads its files once.

        Raises:
            DataError: a file is missing or cannot be read.
        """
        usual = self._usual_key
        fit = usual["fit"]
        return {**usual, "fit": fit and self.context.key_of_run("fitted", fit)}

    @property
    def hash(self) -> str:
        """Digest of the key, also of a run that went on in another number of processes."""
        return content_store.digest(self._usual_key)

    @property
    def fit_key(self) -> dict[str, Any] | None:
        """Everything that affects its fitted weights; None for a teacher that is not fitted."""
        fit: dict[str, Any] | None = self.key["fit"]
        return fit


def resolve_teachers(context: Context) -> tuple[ResolvedTeacher, ...]:
    """Return the teachers of a run, in the recipe's order."""
    pairs = zip(context.recipe.teachers, context.parts.teachers, strict=True)
    return tuple(ResolvedTeacher(entry, part, context) for entry, part in pairs)
