"""Check that mixed views (mixup, cutmix) suit the data, the task and the teachers of a run."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from mtkd_cli.errors import UsageError
from mtkd_cli.teachers.resolved_teacher import ResolvedTeacher
from mtkd_cli.training.context import Context

KINDS: tuple[Literal["mixup", "cutmix"], ...] = ("mixup", "cutmix")


def require_mixable(teachers: Iterable[ResolvedTeacher], views: int | None, context: Context) -> None:
    """Raise if the recipe mixes samples that cannot be mixed.

    Args:
        teachers: resolved teachers.
        views: number of recorded views; None: live.
        context: context of the run.

    Raises:
        UsageError: the task's labels or the columns of a table cannot be mixed, or a teacher has outputs for
            plain samples only.
    """
    for kind in KINDS:
        if getattr(context.recipe.augment, kind):
            _require_mixable_data(kind, context)
            # views 0 and 1 mean that the student sees plain samples only
            by_id = [teacher.name for teacher in teachers if teacher.by_id] if views not in (0, 1) else []
            if by_id:
                raise UsageError(
                    f"{kind} needs outputs for mixed images, but predictions by sample id are for plain ones",
                    where=f"augment.{kind}, teacher {by_id[0]!r}",
                    hint=f"remove augment.{kind}, or use the model itself as teacher",
                )


def _require_mixable_data(kind: Literal["mixup", "cutmix"], context: Context) -> None:
    samples, task = context.data.train.samples, context.task
    is_table, where = samples.inputs.ndim == 2, f"augment.{kind}"
    if not task.can_mix(kind):
        other = next((each for each in KINDS if task.can_mix(each)), None)
        raise UsageError(
            f"the task {context.recipe.task.name!r} cannot mix labels with {kind}",
            where,
            f"remove it, or use augment.{other}" if other else f"remove {where}",
        )
    if is_table and kind == "cutmix":
        raise UsageError(
            "cutmix replaces a part of an image; the data is a table", where, "use augment.mixup"
        )
    categories = [column.name for column in context.data.input.columns if column.categories]
    if is_table and categories:
        raise UsageError(
            f"mixup needs numbers; column {categories[0]!r} has categories", where, f"remove {where}"
        )
