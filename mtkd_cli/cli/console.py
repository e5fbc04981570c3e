"""Where output goes: results on stdout, talk on stderr; errors in three lines."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NoReturn

import typer

from mtkd_cli.distributed import first_failure
from mtkd_cli.distributed.parent_watch import PARENT
from mtkd_cli.distributed.signals import Interrupted
from mtkd_cli.errors import MtkdError, RecipeError, ResumeError, StoppedError, type_and_first_line

if TYPE_CHECKING:
    from rich.text import Text

debug = False
"""Set by ``--debug``: show tracebacks."""


def plain(text: str) -> str:
    """Return the text with control characters written out: a name cannot steer the terminal."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c in "\n\t" else ascii(c)[1:-1] for c in text)


def cell(text: Any, style: str = "") -> Text:
    """Return the text for a table, as it is: no markup, no control characters."""
    from rich.text import Text

    return Text(plain(str(text)), style)


def out(renderable: Any) -> None:
    """Print a result on stdout."""
    from rich.console import Console

    Console(emoji=False).print(renderable)


def talk(line: str, style: str = "") -> None:
    """Print one line on stderr, as it is."""
    from rich.console import Console

    Console(stderr=True, emoji=False).print(
        plain(line), style=style, highlight=False, markup=False, soft_wrap=True
    )


def out_json(value: Any) -> None:
    """Print a result on stdout as JSON, nothing else."""
    import json

    # A terminal that cannot show every letter gets escapes, which mean the same in JSON.
    unicode = "utf" in (sys.stdout.encoding or "").lower()
    sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=not unicode, allow_nan=False) + "\n")
    sys.stdout.flush()  # whoever does not listen any more is noticed here


def warn(lines: list[str]) -> None:
    """Print warnings on stderr; of several processes mtkd itself that started them, or else the first one."""
    if PARENT in os.environ or os.environ.get("RANK", "0") != "0":
        return
    for line in lines:
        talk(f"warning: {line}", style="yellow")


@contextmanager
def errors_shown(as_json: bool) -> Iterator[None]:
    """Turn an error into its lines (or JSON) and its exit code; a traceback only with ``--debug``."""
    try:
        yield
    except (typer.Exit, typer.Abort):
        raise
    except BrokenPipeError:
        first_failure.record(1)
        raise
    except MtkdError as error:
        _fail(error, as_json, error.exit_code, error)
    except KeyboardInterrupt as stop:
        how = str(stop) or "start it again: what is finished is not repeated"
        code = StoppedError.exit_code if isinstance(stop, Interrupted) else 130
        _fail(StoppedError("interrupted", hint=how), as_json, code)
    except Exception as error:
        _fail(_unexpected(error), as_json, 1, error)


def _fail(error: MtkdError, as_json: bool, code: int, cause: Exception | None = None) -> NoReturn:
    """Show the error, unless another process of this run told the first one, and end with its code."""
    if first_failure.record(code):
        if debug and cause is not None:
            raise cause
        show(error, as_json)
    raise typer.Exit(code) from None


def show(error: MtkdError, as_json: bool) -> None:
    """Print an error on stderr, or as JSON on stdout."""
    if as_json:
        out_json({"error": error.as_dict()})
        return
    talk(f"error: {error.what}", style="bold red")
    _details(error)
    for problem in error.problems if isinstance(error, RecipeError | ResumeError) else ():
        talk(f"- {problem.what}")
        _details(problem)


def _details(error: MtkdError) -> None:
    if error.where:
        talk(f"  where: {error.where}")
    if error.hint:
        talk(f"  do: {error.hint}")


def _unexpected(error: BaseException) -> MtkdError:
    return MtkdError(
        f"unexpected {type_and_first_line(error)}",
        hint="run mtkd --debug … to see where",
    )
