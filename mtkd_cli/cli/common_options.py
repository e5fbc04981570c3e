"""Arguments and options that several commands have; each says the same everywhere."""

from __future__ import annotations

from typing import Annotated

import typer

Recipe = Annotated[str, typer.Argument(help="A recipe file, or the name of a built-in recipe.")]
Run = Annotated[str, typer.Argument(help="A run's folder, or its name in runs/.")]
Device = Annotated[str, typer.Option(help="auto, cpu or cuda.")]
Threads = Annotated[int, typer.Option(min=0, help="CPU threads; 0: as many as torch takes.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON on stdout, nothing else.")]
