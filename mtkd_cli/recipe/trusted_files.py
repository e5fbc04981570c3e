"""Files that may run code while they are loaded. Only the user can trust them, not a recipe."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from mtkd_cli.errors import UsageError
from mtkd_cli.recipe.resolve import Resolved

OPTION = "--trust-pickle"


def check_trusted_files(files: Iterable[str | Path], recipes: Sequence[Resolved]) -> frozenset[Path]:
    """Return the absolute paths of trusted files.

    Args:
        files: paths from the user.
        recipes: recipes that use the files; a model must be loaded from each file or its folder.

    Raises:
        UsageError: no such file, or no model is loaded from it.
    """
    named = {path.resolve() for parts in recipes for path in _model_paths(parts)}
    trusted = set()
    for file in map(Path, files):
        if not file.is_file():
            raise UsageError(f"no file {file}", OPTION, "paths are relative to the working directory")
        if not any(file.resolve().is_relative_to(path) for path in named):
            raise UsageError(
                f"no model is loaded from {file}",
                OPTION,
                "pass the file of a teacher's model: or checkpoint:, or omit the option",
            )
        trusted.add(file.resolve())
    return frozenset(trusted)


def warnings(files: frozenset[Path]) -> list[str]:
    """Return one warning for each trusted file."""
    return [f"code in this file may run: {file}" for file in sorted(files)]


def with_trusted_files(parts: Resolved, files: frozenset[Path], trust_code: bool) -> Resolved:
    """Return a recipe whose models may run code in the given files.

    Args:
        parts: the recipe with its plugins.
        files: absolute paths from `checked`.
        trust_code: whether Python code that earlier runs name may run (`mtkd_cli.inference.code_permission`).
    """
    student, *teachers = (
        replace(part, trusted=files, trust_code=trust_code) for part in (parts.student, *parts.teachers)
    )
    return replace(parts, teachers=tuple(teachers), student=student)


def _model_paths(parts: Resolved) -> Iterator[Path]:
    """Yield every name in the recipe that may be the file or the folder of a model."""
    yield from (Path(part.model) for part in (*parts.teachers, parts.student))
    checkpoints = [parts.recipe.student.checkpoint, *(t.checkpoint for t in parts.recipe.teachers)]
    yield from (Path(path) for path in checkpoints if path)
