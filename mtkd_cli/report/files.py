"""The pages of a run folder, made of the facts that lie in it: ``report.html`` and ``MODEL_CARD.md``."""

from __future__ import annotations

import json
from pathlib import Path

from mtkd_cli import atomic
from mtkd_cli.errors import DataError
from mtkd_cli.report.model_card import model_card
from mtkd_cli.report.run_page import run_page


def write_pages(folder: Path) -> list[Path]:
    """Write a run's report card and model card, and return where they are.

    Raises:
        DataError: the folder has no report, or one that cannot be read.
    """
    facts = folder / "report.json"
    try:
        report = json.loads(facts.read_text(encoding="utf-8"))
        recipe = (folder / "recipe.yaml").read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise DataError(
            "there is no report: the run is not finished",
            where=str(error.filename),
            hint="finish the run first",
        ) from error
    except (OSError, ValueError) as error:
        raise DataError(f"the report cannot be read: {error}", where=str(facts)) from error
    picture = folder / "predictions.png"
    try:
        pages = {
            folder / "report.html": run_page(report, recipe, picture if picture.is_file() else None),
            folder / "MODEL_CARD.md": model_card(report),
        }
    except (KeyError, TypeError, AttributeError) as error:
        raise DataError(
            f"the report lacks something: {type(error).__name__}: {error}",
            where=str(facts),
            hint="it is damaged, or another version of mtkd wrote it",
        ) from error
    with atomic.disk_errors(folder):
        for path, text in pages.items():
            atomic.write_bytes(path, text.encode())
    return list(pages)
