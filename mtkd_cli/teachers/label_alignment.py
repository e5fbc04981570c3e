"""Align a teacher's label space with the task's, by class name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mtkd_cli.errors import DataError, join_first, nearest
from mtkd_cli.interfaces import Alignment


def align_classes(
    teacher: Sequence[str] | None,
    task: Sequence[str],
    outputs: int | None,
    name: str,
    mapping: Mapping[str, Sequence[str]] | None = None,
) -> Alignment:
    """Return which of the teacher's outputs answer each of the task's classes.

    Args:
        teacher: class names of the teacher in the order of its outputs; None if it declares none.
        task: class names of the task.
        outputs: number of outputs of the teacher; None if outputs have no position per class.
        name: teacher name, used in messages.
        mapping: the teacher's classes that make up some of the task's classes, by task class.

    Raises:
        DataError: the counts differ, no class is shared, or a name is ambiguous.
    """
    where = f"teacher {name!r}"
    if teacher is None:
        if outputs not in (None, len(task)):
            raise DataError(
                f"the teacher has {outputs} outputs, but the data has {len(task)} classes",
                where=where,
                hint="set its class names with classes:, or adapt it with fit: head",
            )
        if mapping:
            raise DataError(
                "map: needs the teacher's class names", where=where, hint="set them with classes:"
            )
        return Alignment(tuple((index,) for index in range(len(task))), len(task))
    if outputs not in (None, len(teacher)):
        raise DataError(
            f"the teacher has {outputs} outputs but {len(teacher)} class names",
            where=where,
            hint="name every output with classes:, in order"
            + (", including the background" if outputs == len(teacher) + 1 else ""),
        )
    sources = {label: _source_classes(label, teacher, task, mapping or {}, where) for label in task}
    used = [source for classes in sources.values() for source in classes]
    for label in used:
        if used.count(label) > 1:
            raise DataError(f"map: uses the teacher's class {label!r} twice", where=where, hint="fix map:")
        if teacher.count(label) > 1:
            raise DataError(
                f"the teacher has {teacher.count(label)} classes called {label!r}",
                where=where,
                hint="give its outputs distinct names with classes:",
            )
    if not used:
        raise DataError(
            f"the teacher knows none of the data's {len(task)} classes: {join_first(task)}",
            where=where,
            hint=f"its own are {join_first(teacher)}; map them with map:, or adapt it with fit: head",
        )
    output_index = {label: index for index, label in enumerate(teacher)}
    groups = tuple(tuple(output_index[source] for source in sources[label]) for label in task)
    return Alignment(groups, len(teacher))


def _source_classes(
    label: str, teacher: Sequence[str], task: Sequence[str], mapping: Mapping[str, Sequence[str]], where: str
) -> tuple[str, ...]:
    """Return the teacher's classes that make up one of the task's classes."""
    for key in mapping:
        if key not in task:
            raise DataError(
                f"map: unknown class {key!r}; the data has no such class",
                where=where,
                hint=nearest(key, task),
            )
    sources = tuple(mapping.get(label, (label,) if label in teacher else ()))
    for source in sources:
        if source not in teacher:
            raise DataError(
                f"map: {label}: the teacher has no class {source!r}",
                where=where,
                hint=nearest(source, teacher) or f"its own are {join_first(teacher)}",
            )
    return sources


def alignment_remarks(
    alignments: Mapping[str, Alignment], teachers: Mapping[str, Sequence[str] | None], task: Sequence[str]
) -> list[str]:
    """Return remarks for the user on how label spaces align, one line each.

    Args:
        alignments: alignment of each teacher, by name.
        teachers: class names of each teacher, by name.
        task: class names of the task.
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
    unknown_to_all = [
        label for index, label in enumerate(task) if not any(a.known[index] for a in alignments.values())
    ]
    if unknown_to_all:
        lines.append(f"no teacher knows {join_first(unknown_to_all)}: the student learns it from labels only")
    return lines
