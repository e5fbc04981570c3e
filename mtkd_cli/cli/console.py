"""Where output goes: results on stdout, talk on stderr; errors in three lines."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import typer

from mtkd_cli.errors import MtkdError, RecipeError

debug = False
"""Set by ``--debug``: show tracebacks."""


def out(renderable: Any) -> None:
    """Print a result on stdout."""
    from rich.console import Console

    Console().print(renderable)


def talk(line: str, style: str = "") -> None:
    """Print one line on stderr, as it is."""
    from rich.console import Console

    Console(stderr=True).print(line, style=style, highlight=False, markup=False, soft_wrap=True)


def out_json(value: Any) -> None:
    """Print a result on stdout as JSON, nothing else."""
    sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def warn(lines: list[str]) -> None:
    """Print warnings on stderr."""
    for line in lines:
        talk(f"warning: {line}", style="yellow")


@contextmanager
def errors_shown(as_json: bool) -> Iterator[None]:
    """Turn an error into its lines (or JSON) and its exit code; a traceback only with ``--debug``."""
    try:
        yield
    except MtkdError as error:
        if debug:
            raise
        show(error, as_json)
        raise typer.Exit(error.exit_code) from None
    except KeyboardInterrupt:
        show(MtkdError("interrupted", hint="start it again: finished phases are not repeated"), as_json)
        raise typer.Exit(130) from None
    except (Exception, RecursionError) as error:
        if debug:
            raise
        show(_unexpected(error), as_json)
        raise typer.Exit(1) from None


def show(error: MtkdError, as_json: bool) -> None:
    """Print an error on stderr, or as JSON on stdout."""
    if as_json:
        out_json({"error": error.as_dict()})
        return
    problems = error.problems if isinstance(error, RecipeError) else [error]
    if isinstance(error, RecipeError):
        talk(f"error: {error.what} ({error.where})", style="bold red")
    for problem in problems:
        prefix = "- " if isinstance(error, RecipeError) else "error: "
        talk(f"{prefix}{problem.what}", style="" if isinstance(error, RecipeError) else "bold red")
        if problem.where:
            talk(f"  where: {problem.where}")
        if problem.hint:
            talk(f"  do: {problem.hint}")


def _unexpected(error: BaseException) -> MtkdError:
    first = (str(error).strip().splitlines() or [""])[0]
    return MtkdError(
        f"unexpected {type(error).__name__}: {first}", hint="run again with --debug to see where"
    )
