"""The class names that a recipe gives a teacher: a list, numbers in it, or a file with one a line."""

from __future__ import annotations

from pathlib import Path

from mtkd_cli.errors import DataError
from mtkd_cli.recipe.schema import Teacher


def declared_classes(
    teacher: Teacher, where: str, data: tuple[str, ...] | None = None
) -> tuple[str, ...] | None:
    """Return the class names that the recipe gives a teacher; numbers are places in ``data``."""
    if not isinstance(teacher.classes, str):
        given = teacher.classes
        return None if given is None else tuple(_class_name(name, where, data) for name in given)
    try:
        lines = Path(teacher.classes).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(
            f"the class file cannot be read: {error}", where=where, hint="one class name a line"
        ) from error
    return tuple(line.strip() for line in lines if line.strip())


def _class_name(given: str | int, where: str, data: tuple[str, ...] | None) -> str:
    if isinstance(given, str) or data is None:
        return str(given)
    if not 0 <= given < len(data):
        raise DataError(
            f"classes: has the number {given}, the data has {len(data)} classes",
            where=where,
            hint=f"numbers go from 0 to {len(data) - 1}; names are safer",
        )
    return data[given]
