"""``mtkd report``: the pages of a finished run, made anew."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mtkd_cli.cli import console


def report(
    run: Annotated[Path, typer.Argument(help="A run folder: runs/NAME.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON on stdout, nothing else.")] = False,
) -> None:
    """Write a finished run's report.html and MODEL_CARD.md anew, and print its summary."""
    with console.errors_shown(as_json):
        import json

        from mtkd_cli.report.files import write_pages
        from mtkd_cli.report.summary import table

        written = write_pages(run)
        facts = json.loads((run / "report.json").read_text(encoding="utf-8"))
        if as_json:
            console.out_json({"written": [str(path) for path in written], "report": facts})
            return
        console.out(table(facts))
        console.out(f"\n{facts['verdict']['sentence']}")
        for path in written:
            console.talk(f"wrote {path}")
