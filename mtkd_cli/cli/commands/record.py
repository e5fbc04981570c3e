"""``mtkd record``: only the teachers' part of a recipe."""

from __future__ import annotations

from typing import Annotated

import typer

from mtkd_cli.cli import console
from mtkd_cli.cli.process_options import Nodes, Processes, Rendezvous, Restarts, begin, launch_if_several
from mtkd_cli.cli.recipe_argument import TrustCode, TrustPickle, parts_of
from mtkd_cli.distributed import signals


def record(
    recipe: Annotated[str, typer.Argument(help="A recipe file, or the name of a built-in recipe.")],
    overrides: Annotated[
        list[str] | None, typer.Argument(metavar="KEY=VALUE...", help="e.g. views=4")
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    threads: Annotated[int, typer.Option(min=0, help="CPU threads; 0: as many as torch takes.")] = 0,
    processes: Processes = 0,
    nodes: Nodes = 1,
    rendezvous: Rendezvous = "",
    restarts: Restarts = 3,
    trust_pickle: TrustPickle = None,
    trust_code: TrustCode = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON on stdout, nothing else.")] = False,
) -> None:
    """Fit a recipe's teachers and record their answers; train no student."""
    with console.errors_shown(as_json), signals.handled():
        begin(processes, nodes)
        parts, _ = parts_of(recipe, overrides or [], trust_pickle, trust_code)

        again = "Run it again: what is recorded stays"
        launch_if_several(processes, nodes, rendezvous, restarts, "record", again)

        from mtkd_cli.distributed import group
        from mtkd_cli.runs.start import context_of
        from mtkd_cli.runs.view_count import views_of
        from mtkd_cli.safe_loading.stdout import stdout_on_stderr
        from mtkd_cli.teachers.prepare import prepare_teachers

        with stdout_on_stderr(), group.joined(device):
            context = context_of(parts, device, threads)
            teachers = prepare_teachers(context, views_of(context.recipe))
            if not group.is_first():
                return
        rows = [
            {"name": t.name, "arrays": len(t.arrays), "bytes": sum(a.rows.nbytes for a in t.arrays.values())}
            for t in teachers
        ]
        if as_json:
            console.out_json({"teachers": rows})
            return
        for row in rows:
            console.talk(f"{row['name']}: {row['arrays']} arrays, {row['bytes']:,} bytes")
