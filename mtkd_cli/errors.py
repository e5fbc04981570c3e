"""Errors that a user can act on: what went wrong, where, and what to do."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import ClassVar

SHOWN = 5
"""Maximum number of names in a list of a message."""


class MtkdError(Exception):
    """An expected failure. ``str()`` has all of it; the command line never shows a traceback.

    Args:
        what: what happened, in one line.
        where: file, recipe key, teacher or sample.
        hint: what to do.

    Attributes:
        problems: the single failures, of an error that collects several.
    """

    exit_code: ClassVar[int] = 1
    code: ClassVar[str] = "error"
    problems: Sequence[MtkdError] = ()

    def __init__(self, what: str, where: str = "", hint: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.where = where
        self.hint = hint

    def __str__(self) -> str:
        return "\n".join([self.what, *self.details()])

    def details(self) -> list[str]:
        """Return the lines below ``what``: place, hint, and the lines of each problem."""
        lines = [f"  {name}: {text}" for name, text in (("where", self.where), ("do", self.hint)) if text]
        for problem in self.problems:
            lines += [f"- {problem.what}", *problem.details()]
        return lines

    def as_dict(self) -> dict[str, str]:
        """Return the error as ``--json`` prints it."""
        return {"code": self.code, "message": self.what, "hint": self.hint, "where": self.where}


class UsageError(MtkdError):
    """A wrong argument, name or option."""

    exit_code = 2
    code = "usage"


class RecipeError(UsageError):
    """An invalid recipe, with all problems found in it."""

    code = "recipe"

    def __init__(self, source: str, problems: list[MtkdError]) -> None:
        self.problems = problems
        count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
        super().__init__(f"the recipe has {count}", where=source)

    def as_dict(self) -> dict[str, object]:  # type: ignore[override]
        """Return the error with the list of its problems."""
        return {**super().as_dict(), "problems": [problem.as_dict() for problem in self.problems]}


class RecipeKeyError(UsageError):
    """One problem at one key of a recipe."""

    code = "recipe"


class ResumeError(UsageError):
    """A run that cannot be resumed because its inputs changed, with all differences."""

    code = "resume"

    def __init__(self, run: str, problems: list[UsageError]) -> None:
        self.problems = problems
        super().__init__(
            f"the run {run} was started with other inputs",
            where=run,
            hint="undo the changes, or start a new run",
        )

    def as_dict(self) -> dict[str, object]:  # type: ignore[override]
        """Return the error with the list of its differences."""
        return {**super().as_dict(), "problems": [problem.as_dict() for problem in self.problems]}


class StoppedError(MtkdError):
    """A run that was stopped by a signal and can be resumed."""

    exit_code = 75
    code = "interrupted"


class DataError(MtkdError):
    """Invalid data, or an invalid model file or stored array."""

    exit_code = 3
    code = "data"


class TrainingError(MtkdError):
    """Training that failed: a loss or gradient is not finite."""

    exit_code = 4
    code = "training"


class MemoryFullError(MtkdError):
    """A model or batch that does not fit into memory."""

    exit_code = 4
    code = "memory"


class EngineError(MtkdError):
    """A run in several processes that failed: a process died, or the processes could not connect."""

    exit_code = 5
    code = "engine"


class PluginError(MtkdError):
    """A plugin that raised an exception."""

    exit_code = 1
    code = "plugin"


def error_from_dict(facts: Mapping[str, str]) -> MtkdError:
    """Return the error that `MtkdError.as_dict` described, without the single problems of a collection."""
    kinds = (UsageError, StoppedError, DataError, TrainingError, MemoryFullError, EngineError, PluginError)
    kind = next((kind for kind in kinds if kind.code == facts["code"]), MtkdError)
    return kind(facts["message"], facts["where"], facts["hint"])


def missing_path(path: object, where: str, kind: str = "file") -> DataError:
    """Return the error of a path that a user gave and that is not there, or is something else.

    Args:
        path: the path, as it was given.
        where: what names it, e.g. ``data.path``.
        kind: ``file`` or ``folder``.
    """
    if kind == "file" and os.path.exists(str(path)):  # noqa: PTH110  (False for what cannot be a path)
        what = "a folder" if Path(str(path)).is_dir() else "a pipe, a socket or a device"
        return DataError(f"{path} is {what}, not a file", where, "pass a file")
    return DataError(f"no {kind} {path}", where, "paths are relative to the working directory")


def first_line(error: BaseException) -> str:
    """Return the first line of another library's message, or the error's type where it has no message."""
    quoted = isinstance(error, KeyError) and len(error.args) == 1  # str() of it is a repr
    text = str(error.args[0] if quoted else error)
    return (text.strip().splitlines() or [type(error).__name__])[0]


def type_and_first_line(error: BaseException) -> str:
    """Return an error's type and the first line of its message, if it has one."""
    lines = str(error).strip().splitlines() or [""]
    return f"{type(error).__name__}: {lines[0]}".removesuffix(": ")


def short_repr(value: object) -> str:
    """Return a value as Python writes it, of at most 60 characters."""
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def nearest(word: str, known: Iterable[str]) -> str:
    """Return ``did you mean 'x'?`` for the most similar known word, or ``''`` if none is similar."""
    import difflib  # only needed for error messages

    matches = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f"did you mean {matches[0]!r}?" if matches else ""


def nearest_or_all(word: str, known: Iterable[str]) -> str:
    """Return ``did you mean 'x'?`` for the most similar known word, or else the list of all known words."""
    names = sorted(set(known))
    return nearest(word, names) or f"known: {', '.join(names) or 'none'}"


def join_first(names: Sequence[str]) -> str:
    """Return the first names as a list, with ``...`` if there are more."""
    return ", ".join(names[:SHOWN]) + (", ..." if len(names) > SHOWN else "")
