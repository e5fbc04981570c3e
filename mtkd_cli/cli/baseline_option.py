"""``--baseline none|alone|all``, and ``--no-baseline`` for the first of them."""

from __future__ import annotations

from typing import Annotated

import typer

from mtkd_cli.errors import UsageError
from mtkd_cli.runs.baseline_choice import BaselineChoice

Baseline = Annotated[
    BaselineChoice | None,
    typer.Option(
        help="Baselines to train: none; alone, the student on its labels; or all: with pseudo-labels where "
        "samples have no label, and on all labels where teachers saw more.",
        show_default="all",
    ),
]
NoBaseline = Annotated[bool, typer.Option("--no-baseline", help="The same as --baseline none.")]


def baseline_of(choice: BaselineChoice | None, none: bool) -> BaselineChoice | None:
    """Return the choice of both options; None if neither is given.

    Raises:
        UsageError: they contradict each other.
    """
    if none and choice not in (None, BaselineChoice.NONE):
        raise UsageError("--no-baseline and --baseline contradict each other", hint="pass only one of them")
    return BaselineChoice.NONE if none else choice
