"""``--verify``: how much of the data and of the store is read again."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer


class Extent(StrEnum):
    """How many of the unchanged files are read again to check them."""

    SAMPLE = "sample"
    ALL = "all"


Verify = Annotated[
    Extent,
    typer.Option(
        "--verify",
        help="Files of the data and the store to read again although size and times are unchanged.",
    ),
]
