"""Add the registered distillation losses to the options of a task."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from mtkd_cli.specs import LossSpec, Option, TaskSpec

KEY = "kd"
"""Key of a task that names its distillation loss."""


def with_losses(task: TaskSpec, losses: Mapping[str, LossSpec]) -> TaskSpec:
    """Return a task's spec with the option ``kd`` and the options of every loss that supports the task.

    A recipe may set options of losses that it does not use. They have no effect, so one recipe works for a
    grid of losses.

    Args:
        task: spec as registered by its plugin.
        losses: all losses by their names in a recipe.
    """
    if not task.loss:
        return task
    supported = [name for name in losses if task.name in losses[name].tasks]
    supported.sort(key=lambda name: (name != task.loss, name))  # the default first
    kd = Option(
        KEY,
        str,
        task.loss,
        "distillation loss; see mtkd list losses",
        choices=tuple(supported) or (task.loss,),
    )
    own = [option for name in supported for option in losses[name].recipe_options]
    return replace(task, options=(kd, *task.options, *own))
