"""Find the data source for a folder or file of the user."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from mtkd_cli.errors import DataError, MtkdError, UsageError, join_first, nearest_or_all, type_and_first_line
from mtkd_cli.interfaces import DataGuess
from mtkd_cli.plugin.registry import Registry
from mtkd_cli.specs import DataSpec, imported


@dataclass(frozen=True)
class FoundData:
    """A data source and what it recognized."""

    spec: DataSpec
    guess: DataGuess


def find_data_source(given: str, task: str, registry: Registry) -> FoundData:
    """Return the only data source that recognizes a path.

    Args:
        given: path of a folder or file, or ``source:path`` to choose the source.
        task: task that the user gave; ``""`` for any.
        registry: the installed plugins.

    Raises:
        DataError: no such path, or no source recognizes it.
        UsageError: the task is unknown, or several sources recognize the path.
    """
    if task and task not in registry.names("tasks"):
        raise UsageError(f"no task {task!r}", "--task", nearest_or_all(task, registry.names("tasks")))
    source, path = _split(given, registry)
    if not path.exists():
        raise DataError(f"no file or folder {path}", "--data", "give the folder of your data, or its table")
    specs = [e.spec for e in registry.listing("data") if isinstance(e.spec, DataSpec) and e.spec.guess]
    specs = [spec for spec in specs if source in ("", spec.name) and fits(spec.tasks, task)]
    failed: list[str] = []
    found = [FoundData(spec, guess) for spec in specs for guess in _guesses(spec, path, task, failed)]
    if not found:
        known = "; ".join(f"{spec.name}: {spec.summary}" for spec in specs)
        suffix = f" for the task {task}" if task else ""
        raise DataError(
            f"no data source recognizes {path}{suffix}" + (f" ({join_first(failed)})" if failed else ""),
            "--data",
            f"arrange the files as one of these, or write the recipe by hand: {known}",
        )
    if len(found) > 1:
        seen = "; ".join(f"{one.spec.name}: {one.guess.reason}" for one in found)
        raise UsageError(
            f"{path} can be read in {len(found)} ways: {seen}",
            "--data",
            f"choose with --data {found[0].spec.name}:{path}, with --task, or give a single file",
        )
    return found[0]


def fits(tasks: tuple[str, ...], task: str) -> bool:
    """Whether a spec with these tasks (none: all) supports a task; ``""`` is any task."""
    return not tasks or not task or task in tasks


def _split(given: str, registry: Registry) -> tuple[str, Path]:
    """Return the name of the source, or ``""``, and the path."""
    name, _, rest = given.partition(":")
    is_source = rest and name in registry.names("data") and not Path(given).exists()
    return (name, Path(rest)) if is_source else ("", Path(given))


def _guesses(spec: DataSpec, path: Path, task: str, failed: list[str]) -> Iterator[DataGuess]:
    """Yield the guesses that fit the task; a source that fails is added to ``failed``."""
    try:
        guesses = list(imported(spec.guess)(path, task))
    except MtkdError as error:
        failed.append(f"{spec.name}: {error.what}")
        return
    except Exception as error:  # a plugin may raise anything
        failed.append(f"{spec.name}: {type_and_first_line(error)}")
        return
    yield from (guess for guess in guesses if fits(guess.tasks, task))
