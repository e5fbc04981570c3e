"""``--jobs``: how many students to train at a time. Imports no torch."""

from __future__ import annotations

from typing import Annotated

import typer

from mtkd_cli.errors import UsageError, short_repr

MOST = 256
Jobs = Annotated[
    str,
    typer.Option(
        metavar="auto|N",
        help="Number of students to train at a time, in one process each. The results are the same. "
        "auto: as many as use all threads together.",
    ),
]


def jobs_of(given: str) -> int:
    """Return the number of jobs; 0 for ``auto``.

    Raises:
        UsageError: it is neither ``auto`` nor a number from 1 to `MOST`.
    """
    if given == "auto":
        return 0
    if not (given.isascii() and given.isdigit() and len(given) < 10 and 1 <= int(given) <= MOST):
        raise UsageError(
            f"{short_repr(given)} is not a number of jobs",
            "--jobs",
            f"pass auto, or a number from 1 to {MOST}",
        )
    return int(given)
