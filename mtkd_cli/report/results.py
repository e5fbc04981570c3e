"""Results of a run, an audit or a comparison: read only if they are what was written."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mtkd_cli.errors import DataError
from mtkd_cli.files import atomic, checksummed_json

REPORT, AUDIT, COMPARISON = "report.json", "audit.json", "comparison.json"
RECIPE, PICTURE = "recipe.yaml", "predictions.png"
MANIFEST = "manifest.json"
FINISHED = "finished"
"""Key of the manifest: the SHA-256 of each result, once they are all there."""

Facts = dict[str, Any]


def write(folder: Path, name: str, facts: Mapping[str, Any]) -> None:
    """Write the facts of an audit or a comparison, and their SHA-256 into the manifest."""
    with atomic.disk_errors(folder):
        (folder / MANIFEST).unlink(missing_ok=True)
        atomic.write_json(folder / name, facts)
        content = (folder / name).read_bytes()
        checksummed_json.write(folder / MANIFEST, {FINISHED: {name: hashlib.sha256(content).hexdigest()}})


def read(folder: Path) -> tuple[str, Facts]:
    """Return the name of a folder's file of facts, and the facts.

    Raises:
        DataError: there is none, or it is not what was written.
    """
    for name in (AUDIT, COMPARISON):
        if (folder / name).is_file() and not (folder / REPORT).is_file():
            return name, _facts(folder / name, verified(folder, name))
    return REPORT, read_report(folder)


def read_report(folder: Path) -> Facts:
    """Return the report of a finished run.

    Raises:
        DataError: the run is not finished, or the report is not what the run wrote.
    """
    path = folder / REPORT
    if not path.is_file():
        raise DataError(
            "there is no report: the run is not finished",
            where=str(path),
            hint="finish it first; runs, audits and comparisons have reports",
        )
    if REPORT not in _hashes(folder, required=True):
        raise DataError(
            "the run is not finished",
            where=str(folder),
            hint=f"finish it: mtkd distill --resume {folder.name}",
        )
    return _facts(path, verified(folder, REPORT))


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


def verified(folder: Path, name: str) -> bytes:
    """Return the content of a result.

    Files that the manifest does not name (an older mtkd wrote it) are returned as they are.

    Raises:
        DataError: the content is not what was written, or cannot be read.
    """
    path = folder / name
    try:
        content = path.read_bytes()
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


def _facts(path: Path, content: bytes) -> Facts:
    try:
        facts = json.loads(content)
        if not isinstance(facts, dict):
            raise ValueError("not a mapping")
    except (ValueError, RecursionError) as error:
        raise DataError(f"the report cannot be read: {error}", where=str(path)) from error
    return facts
