"""Align a teacher's label space to the task's, by class name."""

from __future__ import annotations

from collections.abc import Sequence

from mtkd_cli.errors import DataError, nearest


def columns(teacher: Sequence[str] | None, task: Sequence[str], outputs: int, name: str) -> tuple[int, ...]:
    """Return, for each of the task's classes, the teacher's output that answers it.

    Args:
        teacher: the teacher's class names in its order, None if it declares none.
        task: the task's class names.
        outputs: how many outputs the teacher gives.
        name: the teacher's, for messages.

    Raises:
        DataError: the counts differ, or the teacher does not know a class, or knows two of its name.
    """
    where = f"teacher {name!r}"
    if teacher is None:
        if outputs == len(task):
            return tuple(range(outputs))
        raise DataError(
            f"the teacher gives {outputs} outputs, the data has {len(task)} classes",
            where=where,
            hint="give its class names with classes:, or adapt it with fit: head",
        )
    if len(teacher) != outputs:
        raise DataError(
            f"the teacher gives {outputs} outputs but has {len(teacher)} class names",
            where=where,
            hint="mend classes:",
        )
    place = {label: index for index, label in enumerate(teacher)}
    unknown = [label for label in task if label not in place]
    if unknown:
        shown = ", ".join(unknown[:3]) + (", ..." if len(unknown) > 3 else "")
        raise DataError(
            f"the teacher does not know {len(unknown)} of the data's {len(task)} classes: {shown}",
            where=where,
            hint=nearest(unknown[0], teacher) or "adapt it to this data with fit: head",
        )
    twice = [label for label in task if teacher.count(label) > 1]
    if twice:
        raise DataError(
            f"the teacher has {teacher.count(twice[0])} classes called {twice[0]!r}",
            where=where,
            hint="give its outputs different names with classes:",
        )
    return tuple(place[label] for label in task)
