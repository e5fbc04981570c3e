"""Align a teacher's label space to the task's, by class name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mtkd_cli.errors import DataError, join_first, nearest
from mtkd_cli.interfaces import Alignment


def aligned_to(
    teacher: Sequence[str] | None,
    task: Sequence[str],
    outputs: int | None,
    name: str,
    mapping: Mapping[str, Sequence[str]] | None = None,
) -> Alignment:
    """Return which of the teacher's outputs answer each of the task's classes.

    Args:
        teacher: the teacher's class names in its order, None if it declares none.
        task: the task's class names.
        outputs: how many outputs the teacher gives; None where they are not one for each class.
        name: the teacher's, for messages.
        mapping: for some of the task's classes, the teacher's classes that they are made of.

    Raises:
        DataError: the counts differ, no class is shared, or a name is not clear.
    """
    where = f"teacher {name!r}"
    if teacher is None:
        if outputs not in (None, len(task)):
            raise DataError(
                f"the teacher gives {outputs} outputs, the data has {len(task)} classes",
                where=where,
                hint="give its class names with classes:, or adapt it with fit: head",
            )
        if mapping:
            raise DataError(
                "map: needs the teacher's class names", where=where, hint="give them with classes:"
            )
        return Alignment(tuple((place,) for place in range(len(task))), len(task))
    if outputs not in (None, len(teacher)):
        raise DataError(
            f"the teacher gives {outputs} outputs but has {len(teacher)} class names",
            where=where,
            hint="name every output with classes:, in their order"
            + (", the background too" if outputs == len(teacher) + 1 else ""),
        )
    wanted = {label: _parts(label, teacher, task, mapping or {}, where) for label in task}
    asked = [part for parts in wanted.values() for part in parts]
    for label in asked:
        if asked.count(label) > 1:
            raise DataError(f"map: uses the teacher's class {label!r} twice", where=where, hint="mend map:")
        if teacher.count(label) > 1:
            raise DataError(
                f"the teacher has {teacher.count(label)} classes called {label!r}",
                where=where,
                hint="give its outputs different names with classes:",
            )
    if not asked:
        raise DataError(
            f"the teacher knows none of the data's {len(task)} classes: {join_first(task)}",
            where=where,
            hint=f"its own are {join_first(teacher)}; map them with map:, or adapt it with fit: head",
        )
    place = {label: index for index, label in enumerate(teacher)}
    groups = tuple(tuple(place[part] for part in wanted[label]) for label in task)
    return Alignment(groups, len(teacher))


def _parts(
    label: str, teacher: Sequence[str], task: Sequence[str], mapping: Mapping[str, Sequence[str]], where: str
) -> tuple[str, ...]:
    """Return the teacher's classes that one of the task's is made of."""
    for key in mapping:
        if key not in task:
            raise DataError(
                f"map: names {key!r}, which is none of the data's classes",
                where=where,
                hint=nearest(key, task),
            )
    parts = tuple(mapping.get(label, (label,) if label in teacher else ()))
    for part in parts:
        if part not in teacher:
            raise DataError(
                f"map: {label}: the teacher has no class {part!r}",
                where=where,
                hint=nearest(part, teacher) or f"its own are {join_first(teacher)}",
            )
    return parts


def remarks(
    alignments: Mapping[str, Alignment], teachers: Mapping[str, Sequence[str] | None], task: Sequence[str]
) -> list[str]:
    """Return what a user should know of how label spaces align, a line each.

    Args:
        alignments: by teacher.
        teachers: their own class names.
        task: the task's class names.
    """
    lines = []
    for name, alignment in alignments.items():
        unknown = [label for label, known in zip(task, alignment.known, strict=True) if not known]
        own = [label for label in teachers[name] or () if label not in task]
        if unknown:
            guess = next((hint for label in unknown if (hint := nearest(label, own))), "")
            lines.append(
                f"teacher {name} does not know {len(unknown)} of {len(task)} classes: {join_first(unknown)}"
                + (f" ({guess})" if guess else "")
            )
    nobody = [
        label for place, label in enumerate(task) if not any(a.known[place] for a in alignments.values())
    ]
    if nobody:
        lines.append(f"no teacher knows {join_first(nobody)}: the student learns it from labels alone")
    return lines
