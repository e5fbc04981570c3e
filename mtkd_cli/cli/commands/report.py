"""``mtkd report``: the pages of a finished run, audit or comparison, made anew."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mtkd_cli.cli import console
from mtkd_cli.cli.common_options import Json


def report(
    folder: Annotated[Path, typer.Argument(help="runs/NAME, audits/NAME or comparisons/NAME.")],
    as_json: Json = False,
) -> None:
    """Write the pages of a finished run, audit or comparison anew; of a run, print the summary too."""
    with console.errors_shown(as_json):
        from mtkd_cli.report import results
        from mtkd_cli.report.files import write_pages
        from mtkd_cli.report.summary import table

        name, found = results.read(folder)
        written = write_pages(folder, name, found)
        facts = found if name == results.REPORT else None
        if as_json:
            console.out_json({"written": [str(path) for path in written], "report": facts})
            return
        if facts is not None:
            console.out(table(facts))
            console.out(f"\n{facts['verdict']['sentence']}")
        for path in written:
            console.talk(f"wrote {path}")
