"""The pages of a folder of results, made of the facts that lie in it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mtkd_cli import atomic
from mtkd_cli.errors import DataError
from mtkd_cli.report.audit_page import audit_page
from mtkd_cli.report.comparison_page import comparison_page
from mtkd_cli.report.model_card import model_card
from mtkd_cli.report.run_page import run_page

Facts = dict[str, Any]


def write_pages(folder: Path) -> list[Path]:
    """Write the pages of a run, an audit or a comparison, and return where they are.

    Raises:
        DataError: the folder has no facts, or some that cannot be read.
    """
    facts = next((name for name in PAGES if (folder / name).is_file()), "report.json")
    written = {folder / name: text for name, text in _made(PAGES[facts], folder, facts).items()}
    with atomic.disk_errors(folder):
        for path, text in written.items():
            atomic.write_bytes(path, text.encode())
    return list(written)


def read_facts(path: Path) -> Facts:
    """Return what a file of facts holds.

    Raises:
        DataError: it is not there or cannot be read.
    """
    try:
        facts: Facts = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise DataError(
            "there is no report: the run is not finished",
            where=str(error.filename),
            hint="finish it first; runs, audits and comparisons have reports",
        ) from error
    except (OSError, ValueError) as error:
        raise DataError(f"the report cannot be read: {error}", where=str(path)) from error
    return facts


def _made(make: Callable[[Facts, Path], dict[str, str]], folder: Path, name: str) -> dict[str, str]:
    facts = read_facts(folder / name)
    try:
        return make(facts, folder)
    except (KeyError, TypeError, AttributeError, IndexError, ValueError) as error:
        raise DataError(
            f"the report lacks something: {type(error).__name__}: {error}",
            where=str(folder / name),
            hint="it is damaged, or another version of mtkd wrote it",
        ) from error


def _of_run(facts: Facts, folder: Path) -> dict[str, str]:
    picture, recipe = folder / "predictions.png", folder / "recipe.yaml"
    text = recipe.read_text(encoding="utf-8") if recipe.is_file() else ""
    shown = run_page(facts, text, picture if picture.is_file() else None)
    return {"report.html": shown, "MODEL_CARD.md": model_card(facts)}


def _of_audit(facts: Facts, folder: Path) -> dict[str, str]:
    return {"audit.html": audit_page(facts, folder.name)}


def _of_comparison(facts: Facts, folder: Path) -> dict[str, str]:
    return {"comparison.html": comparison_page(facts, folder.name)}


PAGES: dict[str, Callable[[Facts, Path], dict[str, str]]] = {
    "report.json": _of_run,
    "audit.json": _of_audit,
    "comparison.json": _of_comparison,
}
"""What makes the pages of each file of facts."""
