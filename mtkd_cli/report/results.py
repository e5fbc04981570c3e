"""Result files of runs, audits, comparisons and searches: written and read here alone.

A file is read only if it is what was written. One of an earlier version is brought into today's layout; one
of a later version is refused.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import TypeAdapter, ValidationError

from mtkd_cli.errors import DataError
from mtkd_cli.files import atomic, checksummed_json
from mtkd_cli.files.regular_file import read_regular
from mtkd_cli.interfaces.significant_digits import without_nan
from mtkd_cli.report import audit_result, comparison_result, earlier_versions, run_result, search_result
from mtkd_cli.report.audit_result import Audit
from mtkd_cli.report.comparison_result import Comparison
from mtkd_cli.report.run_result import RunResult
from mtkd_cli.report.search_result import Search

REPORT, AUDIT, COMPARISON, SEARCH = "report.json", "audit.json", "comparison.json", "search.json"
RECIPE, PICTURE, GALLERY = "recipe.yaml", "predictions.png", "gallery.png"
MANIFEST = "manifest.json"
FINISHED = "finished"
"""Key of the manifest: the SHA-256 of each result, once they are all there."""

Facts = dict[str, Any]
Result = RunResult | Audit | Comparison | Search


class Kind(NamedTuple):
    """A kind of result file.

    Attributes:
        type: what it holds.
        format: number of today's layout.
        from_before: brings the facts of a file without a number into today's layout.
    """

    type: type[Any]
    format: int
    from_before: Callable[[Mapping[str, Any]], Mapping[str, Any]]


KINDS = {
    REPORT: Kind(RunResult, run_result.FORMAT, earlier_versions.run_of_before),
    AUDIT: Kind(Audit, audit_result.FORMAT, earlier_versions.upgrade_audit),
    COMPARISON: Kind(Comparison, comparison_result.FORMAT, earlier_versions.comparison_of_before),
    SEARCH: Kind(Search, search_result.FORMAT, dict),
}
"""The kinds, by the name of their file."""


def as_json(result: Result) -> Facts:
    """Return a result as its file has it, with null for undefined numbers."""
    facts: Facts = without_nan(dataclasses.asdict(result))
    return {"format": facts.pop("format"), **facts}


def write(folder: Path, result: Result) -> str:
    """Write the file of a result and return its name."""
    (name,) = (name for name, kind in KINDS.items() if isinstance(result, kind.type))
    with atomic.disk_errors(folder):
        atomic.write_json(folder / name, as_json(result))
    return name


def write_alone(folder: Path, result: Result) -> None:
    """Write the file of an audit, a comparison or a search, and its SHA-256 into a manifest of its own."""
    with atomic.disk_errors(folder):
        (folder / MANIFEST).unlink(missing_ok=True)
        name = write(folder, result)
        digest = hashlib.sha256(read_regular(folder / name)).hexdigest()
        checksummed_json.write(folder / MANIFEST, {FINISHED: {name: digest}})


def parsed(facts: Any, path: Path) -> Any:
    """Return the result that a file holds.

    Args:
        facts: the content of the file, as JSON.
        path: the file; its name says of what kind it is.

    Raises:
        DataError: it lacks something, or a later version of mtkd wrote it.
    """
    kind = KINDS[path.name]
    try:
        if not isinstance(facts, dict):
            raise TypeError("not a mapping")
        number = facts.get("format", 1)
        if not isinstance(number, int):
            raise TypeError(f"format {number!r} is not a number")
        if number > kind.format:
            raise DataError(
                f"{path.name} has format {number}; this version of mtkd reads formats up to {kind.format}",
                where=str(path),
                hint="update mtkd: pip install --upgrade mtkd",
            )
        today = facts if number == kind.format else {**kind.from_before(facts), "format": kind.format}
        return TypeAdapter(kind.type).validate_python(today)
    except ValidationError as error:
        first = error.errors()[0]
        what = f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
        raise _damage_error(path, what) from error
    except (KeyError, TypeError, AttributeError, IndexError, ValueError) as error:
        raise _damage_error(path, f"{type(error).__name__}: {error}") from error


def _damage_error(path: Path, what: str) -> DataError:
    return DataError(
        f"the report {path.name} lacks something: {what}",
        where=str(path),
        hint="it is damaged; copy the folder again, or run it again",
    )


def load(path: Path) -> Any:
    """Return the result in a file that is known to be what was written.

    Raises:
        DataError: it is not JSON, lacks something, or a later version of mtkd wrote it.
        OSError: it cannot be read.
    """
    return _load(path, read_regular(path))


def _load(path: Path, content: bytes) -> Any:
    try:
        facts = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise DataError(f"the report cannot be read: {error}", where=str(path)) from error
    return parsed(facts, path)


def read(folder: Path) -> Result:
    """Return the result of a folder: of a run, an audit, a comparison or a search.

    Raises:
        DataError: there is none, or it is not what was written.
    """
    for name in (AUDIT, COMPARISON, SEARCH):
        if (folder / name).is_file() and not (folder / REPORT).is_file():
            found: Result = _load(folder / name, read_verified(folder, name))
            return found
    return read_report(folder)


def read_report(folder: Path) -> RunResult:
    """Return the report of a finished run.

    Raises:
        DataError: the run is not finished, or the report is not what the run wrote.
    """
    path = folder / REPORT
    if not path.is_file():
        raise DataError(
            "there is no report: the run is not finished",
            where=str(path),
            hint="finish it first; runs, audits, comparisons and searches have reports",
        )
    if REPORT not in _hashes(folder, required=True):
        raise DataError(
            "the run is not finished",
            where=str(folder),
            hint=f"finish it: mtkd distill --resume {folder.name}",
        )
    found: RunResult = _load(path, read_verified(folder, REPORT))
    return found


def read_recipe(folder: Path) -> Facts:
    """Return the resolved recipe that a run began with.

    Raises:
        DataError: the manifest is missing or damaged.
    """
    recipe = _manifest(folder).get("recipe")
    if not isinstance(recipe, dict) or not isinstance(recipe.get("strategy"), dict):
        raise DataError(
            f"{MANIFEST} has no recipe", where=str(folder / MANIFEST), hint="is this the folder of a run?"
        )
    return recipe


def read_verified(folder: Path, name: str) -> bytes:
    """Return the content of a result.

    Files that the manifest does not name (an older mtkd wrote it) are returned as they are.

    Raises:
        DataError: the content is not what was written, or cannot be read.
    """
    path = folder / name
    try:
        content = read_regular(path)
    except OSError as error:
        raise DataError(f"{name} cannot be read: {error.strerror}", where=str(path)) from error
    wanted = _hashes(folder, required=False).get(name)
    if wanted is not None and hashlib.sha256(content).hexdigest() != wanted:
        raise DataError(
            f"{name} was changed after it was written: its SHA-256 is not that of {MANIFEST}",
            where=str(path),
            hint="nothing was written; copy the folder again, or run it again",
        )
    return content


def _hashes(folder: Path, required: bool) -> dict[str, str]:
    """Return the SHA-256 of each result; none of a folder without a manifest, unless it is required."""
    if not required and not (folder / MANIFEST).is_file():
        return {}
    found = _manifest(folder).get(FINISHED) or {}
    return found if isinstance(found, dict) else {}


def _manifest(folder: Path) -> Facts:
    return checksummed_json.read(folder / MANIFEST, hint="copy the whole folder: results are checked by it")
