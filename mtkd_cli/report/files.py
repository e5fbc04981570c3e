"""The pages of a folder of results, made of the facts that lie in it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from mtkd_cli.errors import DataError
from mtkd_cli.files import atomic
from mtkd_cli.report.audit_page import audit_page
from mtkd_cli.report.comparison_page import comparison_page
from mtkd_cli.report.model_card import model_card
from mtkd_cli.report.results import AUDIT, COMPARISON, PICTURE, RECIPE, REPORT, Facts, verified
from mtkd_cli.report.run_page import run_page


def write_pages(folder: Path, name: str, facts: Mapping[str, Any]) -> list[Path]:
    """Write the pages of a run, an audit or a comparison, and return where they are.

    Args:
        folder: where they go; a run's has the recipe and perhaps a picture, which its page shows.
        name: of the file that has the facts (`mtkd_cli.report.results`).
        facts: what it holds.

    Raises:
        DataError: the facts lack something, or what the page shows is not what the run wrote.
    """
    plain = json.loads(json.dumps(facts))  # as the file has them: lists, no tuples
    written = {folder / page: text for page, text in _made(PAGES[name], plain, folder, name).items()}
    with atomic.disk_errors(folder):
        for path, text in written.items():
            atomic.write_bytes(path, text.encode())
    return list(written)


def _made(
    make: Callable[[Facts, Path], dict[str, str]], facts: Facts, folder: Path, name: str
) -> dict[str, str]:
    try:
        return make(facts, folder)
    except (KeyError, TypeError, AttributeError, IndexError, ValueError) as error:
        raise DataError(
            f"the report lacks something: {type(error).__name__}: {error}",
            where=str(folder / name),
            hint="it is damaged, or another version of mtkd wrote it",
        ) from error


def _of_run(facts: Facts, folder: Path) -> dict[str, str]:
    there = [name for name in (RECIPE, PICTURE) if (folder / name).is_file()]
    contents = {name: verified(folder, name) for name in there}
    text = contents.get(RECIPE, b"").decode("utf-8")
    shown = run_page(facts, text, folder / PICTURE if PICTURE in contents else None)
    return {"report.html": shown, "MODEL_CARD.md": model_card(facts)}


def _of_audit(facts: Facts, folder: Path) -> dict[str, str]:
    return {"audit.html": audit_page(facts, folder.name)}


def _of_comparison(facts: Facts, folder: Path) -> dict[str, str]:
    return {"comparison.html": comparison_page(facts, folder.name)}


PAGES: dict[str, Callable[[Facts, Path], dict[str, str]]] = {
    REPORT: _of_run,
    AUDIT: _of_audit,
    COMPARISON: _of_comparison,
}
"""What makes the pages of each file of facts."""
