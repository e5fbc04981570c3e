"""Arguments and options that several commands share."""

from __future__ import annotations

from typing import Annotated

import typer

from mtkd_cli.cli.completion import complete_recipe, complete_run
from mtkd_cli.cli.number_limits import at_most

Recipe = Annotated[
    str, typer.Argument(help="Recipe file or name of a built-in recipe.", autocompletion=complete_recipe)
]
Run = Annotated[
    str, typer.Argument(help="A run's folder, or its name in runs/.", autocompletion=complete_run)
]
Device = Annotated[str, typer.Option(help="Device: auto, cpu or cuda.")]
Threads = Annotated[
    int,
    typer.Option(
        min=0,
        callback=at_most(4096, "no machine has so many cores"),
        help="Number of CPU threads. 0: all cores, fewer for small networks.",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print only JSON on stdout.")]
