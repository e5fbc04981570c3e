"""Words that users of other tools type, and the commands of mtkd for them."""

from __future__ import annotations

from collections.abc import Iterable

from mtkd_cli.errors import nearest
from mtkd_cli.specs import KINDS

COMMANDS = {
    "add": "mtkd install PACKAGE",
    "benchmark": "mtkd compare RECIPE",
    "cache": "mtkd store list",
    "convert": "mtkd export RUN",
    "create": "mtkd init RECIPE",
    "describe": "mtkd show NAME",
    "fit": "mtkd distill RECIPE",
    "help": "mtkd --help",
    "infer": "mtkd predict RUN FILES",
    "inference": "mtkd predict RUN FILES",
    "info": "mtkd show NAME",
    "ls": "mtkd list",
    "new": "mtkd init RECIPE",
    "remove": "mtkd uninstall PACKAGE",
    "resume": "mtkd distill --resume RUN",
    "run": "mtkd distill RECIPE",
    "runs": "mtkd list runs",
    "score": "mtkd evaluate RUN",
    "start": "mtkd distill RECIPE",
    "status": "mtkd list runs",
    "test": "mtkd evaluate RUN",
    "train": "mtkd distill RECIPE",
    **{kind: f"mtkd list {kind}" for kind in KINDS},
}
"""Command for each word."""


def suggestion(word: str, commands: Iterable[str]) -> str:
    """Return ``Did you mean 'mtkd distill RECIPE'?`` for a word, or ``""`` if nothing is similar.

    Args:
        word: the unknown command.
        commands: names of the commands.
    """
    typed = word.lower()
    if typed in COMMANDS:
        return f"Did you mean {COMMANDS[typed]!r}?"
    return nearest(typed, commands).replace("did", "Did", 1)
