"""``mtkd record``: record the teachers' outputs without training a student."""

from __future__ import annotations

from contextlib import nullcontext
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
    is_worker,
    launch_if_several,
    prepare_process,
)
from mtkd_cli.cli.recipe_argument import TrustCode, TrustPickle, parts_of
from mtkd_cli.cli.verify_option import Extent, Verify
from mtkd_cli.distributed import signals
from mtkd_cli.errors import UsageError


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
    worker: Annotated[
        bool,
        typer.Option(
            "--worker",
            help="Share the work with other workers: start this command any number of times, at any time, "
            "on any machines that share the store.",
        ),
    ] = False,
    verify: Verify = Extent.SAMPLE,
    trust_pickle: TrustPickle = None,
    trust_code: TrustCode = False,
    as_json: Json = False,
) -> None:
    """Record the outputs of a recipe's teachers.

    Fits teachers that need it. Trains no student.
    """
    with console.report_errors(as_json), signals.handle():
        if worker:
            refuse_together(processes, nodes)
        prepare_process(processes, nodes)
        parts = parts_of(recipe, overrides or [], trust_pickle, trust_code, verify)

        resume_hint = "Run the same command again; recorded outputs are kept"
        launch_if_several(processes, nodes, rendezvous, restarts, "record", resume_hint)

        from mtkd_cli.distributed import group
        from mtkd_cli.distributed.threads import threads_of_option
        from mtkd_cli.runs.start import load_context
        from mtkd_cli.runs.view_count import count_views
        from mtkd_cli.safe_loading.stdout import stdout_on_stderr
        from mtkd_cli.store.worker_claims import claiming
        from mtkd_cli.teachers.prepare import prepare_teachers

        claims = claiming() if worker else nullcontext()
        with stdout_on_stderr(), group.process_group(device), claims:
            context = load_context(parts, device, threads_of_option(threads), only_teachers=True)
            teachers = prepare_teachers(context, count_views(context.recipe), as_worker=worker)
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


def refuse_together(processes: int, nodes: int) -> None:
    """Raise if a worker is to be one of several processes that connect to each other.

    Raises:
        UsageError: it is.
    """
    if processes > 1 or nodes > 1 or is_worker():
        raise UsageError(
            "workers do not connect to each other; each is a process of its own",
            where="--worker",
            hint="remove --processes, --nodes and torchrun, and start the command several times",
        )
