"""Files whose code may run: the user names them on the command line, a recipe cannot."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from mtkd_cli.errors import UsageError
from mtkd_cli.recipe.resolve import Resolved

OPTION = "--trust-pickle"


def checked(files: Iterable[str | Path], recipes: Sequence[Resolved]) -> frozenset[Path]:
    """Return the files that are trusted, resolved.

    Args:
        files: as the user names them.
        recipes: each file must be one that some model of them is read from, or lie in its folder.

    Raises:
        UsageError: no such file, or no model is read from it.
    """
    named = {path.resolve() for parts in recipes for path in _files(parts)}
    trusted = set()
    for file in map(Path, files):
        if not file.is_file():
            raise UsageError(f"no file {file}", OPTION, "a path is taken relative to where mtkd is started")
        if not any(file.resolve().is_relative_to(path) for path in named):
            raise UsageError(
                f"no model is read from {file}",
                OPTION,
                "give the file of a teacher's model: or checkpoint:, or leave it out",
            )
        trusted.add(file.resolve())
    return frozenset(trusted)


def warnings(files: frozenset[Path]) -> list[str]:
    """Return what a user should be reminded of, a line each."""
    return [f"code in this file may run: {file}" for file in sorted(files)]


def trusting(parts: Resolved, files: frozenset[Path], trust_code: bool) -> Resolved:
    """Return the parts of a recipe, whose models may run code in these files.

    Args:
        parts: the recipe's.
        files: see `checked`.
        trust_code: whether Python code that earlier runs name may run (`mtkd_cli.inference.code_permission`).
    """
    student, *teachers = (
        replace(part, trusted=files, trust_code=trust_code) for part in (parts.student, *parts.teachers)
    )
    return replace(parts, teachers=tuple(teachers), student=student)


def _files(parts: Resolved) -> Iterator[Path]:
    """Yield what might be the file or the folder of a model."""
    yield from (Path(part.model) for part in (*parts.teachers, parts.student))
    checkpoints = [parts.recipe.student.checkpoint, *(t.checkpoint for t in parts.recipe.teachers)]
    yield from (Path(path) for path in checkpoints if path)
