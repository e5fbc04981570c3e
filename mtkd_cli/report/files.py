"""The pages of a folder of results, made of the result that lies in it."""

from __future__ import annotations

from pathlib import Path

from mtkd_cli.errors import DataError
from mtkd_cli.files import atomic
from mtkd_cli.report.audit_page import audit_page
from mtkd_cli.report.audit_result import Audit
from mtkd_cli.report.comparison_page import comparison_page
from mtkd_cli.report.model_card import model_card
from mtkd_cli.report.results import GALLERY, PICTURE, RECIPE, Result, read_verified
from mtkd_cli.report.run_page import run_page
from mtkd_cli.report.run_result import RunResult
from mtkd_cli.report.search_page import search_page
from mtkd_cli.report.search_result import Search


def write_pages(folder: Path, result: Result) -> list[Path]:
    """Write the pages of a run, an audit, a comparison or a search, and return where they are.

    Args:
        folder: folder of the pages; that of a run has the recipe, and pictures if there are any.
        result: what the pages show.

    Raises:
        DataError: the result lacks something, or what the page shows besides it is not what the run wrote.
    """
    try:
        written = {folder / page: text for page, text in _pages(result, folder).items()}
    except (KeyError, TypeError, AttributeError, IndexError, ValueError) as error:
        raise DataError(
            f"the report lacks something: {type(error).__name__}: {error}",
            where=str(folder),
            hint="it is damaged, or another version of mtkd wrote it",
        ) from error
    with atomic.disk_errors(folder):
        for path, text in written.items():
            atomic.write_bytes(path, text.encode())
    return list(written)


def _pages(result: Result, folder: Path) -> dict[str, str]:
    if isinstance(result, RunResult):
        return _of_run(result, folder)
    if isinstance(result, Audit):
        return {"audit.html": audit_page(result, folder.name)}
    if isinstance(result, Search):
        return {"search.html": search_page(result, folder.name)}
    return {"comparison.html": comparison_page(result, folder.name)}


def _of_run(result: RunResult, folder: Path) -> dict[str, str]:
    found = [name for name in (RECIPE, PICTURE, GALLERY) if (folder / name).is_file()]
    contents = {name: read_verified(folder, name) for name in found}
    text = contents.get(RECIPE, b"").decode("utf-8")
    picture, sheet = (folder / name if name in contents else None for name in (PICTURE, GALLERY))
    page = run_page(result, text, picture, sheet)
    return {"report.html": page, "MODEL_CARD.md": model_card(result)}
