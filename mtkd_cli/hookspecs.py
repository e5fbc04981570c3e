"""The hooks that a plugin may implement, with their reference.

A plugin is a module named by an entry point in the group ``mtkd``::

    from mtkd_cli.hookspecs import hookimpl
    from mtkd_cli.specs import AggregatorSpec


    @hookimpl
    def mtkd_register_aggregators():
        return [AggregatorSpec("mine", "One line.", "my_module.mine:Mine")]

Every registering hook *returns* specs. It is called once per command, before any implementation is imported.
Keep the registering module free of heavy imports. An argument of a hookimpl must not have a default, because
pluggy would never pass it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import pluggy

if TYPE_CHECKING:
    import typer

    from mtkd_cli.specs import (
        AggregatorSpec,
        DataSpec,
        LossSpec,
        RecipeSpec,
        TaskSpec,
        TeacherSpec,
        TrackerSpec,
    )

PROJECT = "mtkd"
hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@hookspec
def mtkd_register_teachers() -> Sequence[TeacherSpec]:  # type: ignore[empty-body]
    """Return providers of teachers (and students). Called once, before a recipe is read."""


@hookspec
def mtkd_register_aggregators() -> Sequence[AggregatorSpec]:  # type: ignore[empty-body]
    """Return strategies. Called once, before a recipe is read."""


@hookspec
def mtkd_register_tasks() -> Sequence[TaskSpec]:  # type: ignore[empty-body]
    """Return tasks. Called once, before a recipe is read."""


@hookspec
def mtkd_register_losses() -> Sequence[LossSpec]:  # type: ignore[empty-body]
    """Return distillation losses, the choices of a task's ``kd``. Called once, before a recipe is read."""


@hookspec
def mtkd_register_data() -> Sequence[DataSpec]:  # type: ignore[empty-body]
    """Return data sources. Called once, before a recipe is read."""


@hookspec
def mtkd_register_recipes() -> Sequence[RecipeSpec]:  # type: ignore[empty-body]
    """Return recipes that ``mtkd distill NAME`` runs. Called once, before a recipe is read."""


@hookspec
def mtkd_register_trackers() -> Sequence[TrackerSpec]:  # type: ignore[empty-body]
    """Return trackers: objects with ``run_started``, ``epoch_finished`` and ``run_finished``.

    Called once, before a recipe is read. A recipe names the trackers it uses. The methods of each tracker run
    on a separate thread, so a tracker that raises or hangs does not stop the run.
    """


@hookspec
def mtkd_register_commands(app: typer.Typer) -> None:
    """Add commands to ``app``, the root of the command line. Called before arguments are parsed."""
