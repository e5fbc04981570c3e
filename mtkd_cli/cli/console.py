"""Print results on stdout, and status lines, warnings and errors on stderr."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NoReturn

import typer

from mtkd_cli.cli import streams, unexpected
from mtkd_cli.distributed import first_failure, signals
from mtkd_cli.distributed.parent_watch import PARENT
from mtkd_cli.distributed.signals import Interrupted
from mtkd_cli.errors import MtkdError, StoppedError

if TYPE_CHECKING:
    from rich.text import Text

debug = False
"""Whether to show tracebacks; set by ``--debug``."""


def escape(text: str) -> str:
    """Return the text with control characters escaped, so that a name cannot control the terminal."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c in "\n\t" else ascii(c)[1:-1] for c in text)


def cell(text: Any, style: str = "") -> Text:
    """Return the text as a table cell, without markup and with control characters escaped."""
    from rich.text import Text

    return Text(escape(str(text)), style)


def print_result(renderable: Any) -> None:
    """Print a result on stdout."""
    from rich.console import Console

    Console(emoji=False).print(renderable)


def print_status(line: str, style: str = "") -> None:
    """Print one line on stderr, without markup."""
    from rich.console import Console

    Console(stderr=True, emoji=False).print(
        escape(line), style=style, highlight=False, markup=False, soft_wrap=True
    )


def print_json(value: Any) -> None:
    """Print a result as JSON on stdout."""
    import json

    # JSON escapes for a terminal that cannot encode every character.
    unicode = "utf" in (sys.stdout.encoding or "").lower()
    sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=not unicode, allow_nan=False) + "\n")
    sys.stdout.flush()  # flush now, so that a closed pipe raises here


def warn(lines: list[str]) -> None:
    """Print warnings on stderr, once for all processes: in the launcher, or else in the first process."""
    if PARENT in os.environ or os.environ.get("RANK", "0") != "0":
        return
    for line in lines:
        print_status(f"warning: {line}", style="yellow")


def warner() -> Callable[[list[str]], None]:
    """Return a `warn` that prints each line once, however often it is given."""
    printed: set[str] = set()

    def warn_once(lines: list[str]) -> None:
        warn([line for line in dict.fromkeys(lines) if line not in printed])
        printed.update(lines)

    return warn_once


@contextmanager
def report_errors(as_json: bool) -> Iterator[None]:
    """Print an error of the block (as JSON if asked) and exit with its code.

    A traceback is shown only with ``--debug``.
    """
    try:
        try:
            yield
        finally:
            signals.finish()
            sys.stdout.flush()  # flush now, so that a full disk raises here and not at the exit
    except (typer.Exit, typer.Abort):
        raise
    except BrokenPipeError:
        first_failure.record(1)
        raise
    except MtkdError as error:
        _fail(error, as_json, error.exit_code, error)
    except KeyboardInterrupt as stop:
        hint = str(stop) or "run the same command again; finished work is kept"
        code = StoppedError.exit_code if isinstance(stop, Interrupted) else 130
        _fail(StoppedError("interrupted", hint=hint), as_json, code)
    except Exception as error:
        if streams.is_unwritable(error):
            streams.discard_stdout()
            as_json = False
        explained = unexpected.explain(error)
        _fail(explained, as_json, explained.exit_code, error)


def _fail(error: MtkdError, as_json: bool, code: int, cause: Exception | None = None) -> NoReturn:
    """Print the error unless another process of this run failed first; exit with ``code``."""
    if first_failure.record(code):
        if debug and cause is not None:
            raise cause
        print_error(error, as_json)
    raise typer.Exit(code) from None


def print_error(error: MtkdError, as_json: bool) -> None:
    """Print an error on stderr, or as JSON on stdout if that can be written."""
    try:
        if as_json:
            print_json({"error": error.as_dict()})
            return
    except OSError as full:
        if not streams.is_unwritable(full):
            raise
        streams.discard_stdout()
    with contextlib.suppress(OSError):  # stderr on a full disk: the exit code is left
        print_status(f"error: {error.what}", style="bold red")
        for line in error.details():
            print_status(line)
