"""``mtkd record``: record the teachers' outputs without training a student."""

from __future__ import annotations

from typing import Annotated

import typer

from mtkd_cli.cli import console
from mtkd_cli.cli.common_options import Device, Json, Recipe, Threads
from mtkd_cli.cli.completion import complete_override
from mtkd_cli.cli.process_options import (
    Nodes,
    Processes,
    Rendezvous,
    Restarts,
    launch_if_several,
    prepare_process,
)
from mtkd_cli.cli.recipe_argument import TrustCode, TrustPickle, parts_of
from mtkd_cli.cli.verify_option import Extent, Verify
from mtkd_cli.distributed import signals


def record(
    recipe: Recipe,
    overrides: Annotated[
        list[str] | None,
        typer.Argument(autocompletion=complete_override, metavar="KEY=VALUE...", help="e.g. views=4"),
    ] = None,
    device: Device = "auto",
    threads: Threads = 0,
    processes: Processes = 0,
    nodes: Nodes = 1,
    rendezvous: Rendezvous = "",
    restarts: Restarts = 3,
    verify: Verify = Extent.SAMPLE,
    trust_pickle: TrustPickle = None,
    trust_code: TrustCode = False,
    as_json: Json = False,
) -> None:
    """Record the outputs of a recipe's teachers.

    Fits teachers that need it. Trains no student.
    """
    with console.report_errors(as_json), signals.handle():
        prepare_process(processes, nodes)
        parts = parts_of(recipe, overrides or [], trust_pickle, trust_code, verify)

        resume_hint = "Run the same command again; recorded outputs are kept"
        launch_if_several(processes, nodes, rendezvous, restarts, "record", resume_hint)

        from mtkd_cli.distributed import group
        from mtkd_cli.distributed.threads import threads_of_option
        from mtkd_cli.runs.start import load_context
        from mtkd_cli.runs.view_count import count_views
        from mtkd_cli.safe_loading.stdout import stdout_on_stderr
        from mtkd_cli.teachers.prepare import prepare_teachers

        with stdout_on_stderr(), group.process_group(device):
            context = load_context(parts, device, threads_of_option(threads), only_teachers=True)
            teachers = prepare_teachers(context, count_views(context.recipe))
            signals.finish()
            if not group.is_first():
                return
        rows = [
            {"name": t.name, "arrays": len(t.arrays), "bytes": sum(a.rows.nbytes for a in t.arrays.values())}
            for t in teachers
        ]
        if as_json:
            console.print_json({"teachers": rows})
            return
        for row in rows:
            console.print_status(f"{row['name']}: {row['arrays']} arrays, {row['bytes']:,} bytes")
