"""``mtkd report``: write the pages of a finished run, audit, comparison or search again."""

from __future__ import annotations

from typing import Annotated

import typer

from mtkd_cli.cli import console
from mtkd_cli.cli.common_options import Json
from mtkd_cli.cli.completion import complete_run


def report(
    result: Annotated[
        str,
        typer.Argument(
            help="Folder, or name in runs/, audits/, comparisons/ or searches/.", autocompletion=complete_run
        ),
    ],
    as_json: Json = False,
) -> None:
    """Write the report pages again.

    Takes a finished run, audit, comparison or search. For a run, also prints the summary.
    """
    with console.report_errors(as_json):
        from mtkd_cli.cli.result_folder import result_folder
        from mtkd_cli.report import results
        from mtkd_cli.report.files import write_pages
        from mtkd_cli.report.run_result import RunResult
        from mtkd_cli.report.summary import table

        folder = result_folder(result)
        found = results.read(folder)
        written = write_pages(folder, found)
        run = found if isinstance(found, RunResult) else None
        if as_json:
            facts = results.as_json(run) if run else None
            console.print_json({"written": [str(path) for path in written], "report": facts})
            return
        if run:
            console.print_result(table(run))
            console.print_result(f"\n{run.verdict.sentence}")
        for path in written:
            console.print_status(f"wrote {path}")
