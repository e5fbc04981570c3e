"""The class names declared for a teacher: a list of names or class numbers, or a file of names."""

from __future__ import annotations

from pathlib import Path

from mtkd_cli.errors import DataError
from mtkd_cli.reading.class_names import read_class_names
from mtkd_cli.recipe.schema import Teacher


def declared_classes(
    teacher: Teacher, where: str, data: tuple[str, ...] | None = None
) -> tuple[str, ...] | None:
    """Return the class names declared for a teacher; None if there are none.

    Args:
        teacher: entry in the recipe.
        where: the teacher, used in messages.
        data: class names of the data, indexed by numbers in ``classes:``.

    Raises:
        DataError: the file cannot be read, or a number is out of range.
    """
    if not isinstance(teacher.classes, str):
        declared = teacher.classes
        return None if declared is None else tuple(_class_name(name, where, data) for name in declared)
    return read_class_names(Path(teacher.classes))


def _class_name(declared: str | int, where: str, data: tuple[str, ...] | None) -> str:
    if isinstance(declared, str) or data is None:
        return str(declared)
    if not 0 <= declared < len(data):
        raise DataError(
            f"classes: has the number {declared}, but the data has {len(data)} classes",
            where=where,
            hint=f"use numbers from 0 to {len(data) - 1}, or class names",
        )
    return data[declared]
