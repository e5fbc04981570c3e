"""What several students of a comparison share is done once, before they are trained at the same time."""

from __future__ import annotations

from typing import Any

from mtkd_cli.runs import preflight
from mtkd_cli.runs.view_count import count_views
from mtkd_cli.store import content_store
from mtkd_cli.teachers.prepare import prepare_teachers
from mtkd_cli.training.context import Context

OWN_SECTIONS = ("strategy", "loss", "train", "student", "trackers")
"""Sections of a recipe that do not change what its teachers record."""


def teachers_key(context: Context) -> str:
    """Return a digest of what the recorded outputs of a student's teachers depend on."""
    recipe: dict[str, Any] = context.recipe.as_dict()
    shared = {name: section for name, section in recipe.items() if name not in OWN_SECTIONS}
    return content_store.digest({"recipe": shared, "views": count_views(context.recipe)})


def student_key(context: Context) -> str:
    """Return a digest of what the work of a training step depends on."""
    recipe, inputs = context.recipe, context.data.train.samples.inputs
    return content_store.digest(
        {
            "student": recipe.student.model_dump(mode="json"),
            "task": recipe.task.model_dump(mode="json"),
            "views": count_views(recipe),
            "batch_size": recipe.train.batch_size,
            "inputs": list(map(int, inputs.shape)),
            "device": context.device.type,
        }
    )


def prepare_shared(context: Context) -> None:
    """Fit and record the teachers that several students share.

    Args:
        context: context of one of the students.
    """
    teachers = prepare_teachers(context, count_views(context.recipe))
    preflight.show_alignment(context, teachers)
