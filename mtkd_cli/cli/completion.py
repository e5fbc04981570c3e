"""What the shell completes: recipes, keys and values of recipes, entries, and runs. Imports no torch.

A completion must not disturb the line that is being typed: a failure completes nothing.
"""

from __future__ import annotations

import functools
import os
import textwrap
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar

import typer

from mtkd_cli.specs import KINDS

Found = list[tuple[str, str]]
"""Completions, each with a text that some shells show beside it."""

HELP_WIDTH = 60
"""Maximum length of such a text: Typer wraps longer ones, and fish takes each line for a completion."""

Complete = TypeVar("Complete", bound=Callable[..., Found])


def is_active() -> bool:
    """Whether this process was started by a shell to complete a line."""
    return "_MTKD_COMPLETE" in os.environ


def _quiet(complete: Complete) -> Complete:
    @functools.wraps(complete)
    def guard(*arguments: Any, **named: Any) -> Found:
        try:
            found = complete(*arguments, **named)
            return [(word, textwrap.shorten(said, HELP_WIDTH, placeholder=" …")) for word, said in found]
        except Exception:  # a traceback would be printed into the line
            return []

    return guard  # type: ignore[return-value]


@_quiet
def complete_recipe(incomplete: str) -> Found:
    """Return built-in recipes and recipe files."""
    from mtkd_cli.recipe.reader import SUFFIXES

    typed = Path(incomplete)
    folder = typed if incomplete.endswith("/") else typed.parent
    paths = [path for path in folder.iterdir() if path.suffix in SUFFIXES] if folder.is_dir() else []
    return [*_entries(["recipes"]), *((str(path), "recipe file") for path in sorted(paths))]


@_quiet
def complete_override(ctx: typer.Context, incomplete: str) -> Found:
    """Return ``KEY=`` for keys of the recipe, and ``KEY=VALUE`` once the key is known.

    Bash splits words at ``=`` and replaces only the part after it; other shells replace the whole word.
    """
    from mtkd_cli.plugin.registry import load_registry
    from mtkd_cli.recipe.keys import keys_of

    words = [str(word) for word in ctx.params.get("overrides") or ()]
    before = ""
    if words[-1:] == ["="]:  # bash, after KEY=V
        before, words = f"{words[-2]}=", words[:-2]
    elif _bash_word() == "=" and words:  # bash, after KEY=
        before, words = f"{words[-1]}=", words[:-1]
    text = before + incomplete
    keys = keys_of(str(ctx.params.get("recipe") or ""), _join(words), load_registry())
    name, equals, _ = text.partition("=")
    matching = [key for key in keys if (key.name == name if equals else key.name.startswith(name))]
    if len(matching) == 1:
        key = matching[0]
        found = [(f"{key.name}={value}", key.summary) for value in key.values or ("",)]
    else:
        found = [(f"{key.name}=", key.summary) for key in matching]
    return [(word.removeprefix(before), said) for word, said in found if word.startswith(text)]


@_quiet
def complete_run(incomplete: str) -> Found:
    """Return the runs in ``runs/``."""
    from mtkd_cli.runs.listing import runs

    return [(run.name, run.state) for run in runs()]


@_quiet
def complete_resumable(incomplete: str) -> Found:
    """Return the runs in ``runs/`` that can be resumed."""
    return [(name, state) for name, state in complete_run(incomplete) if state == "resumable"]


@_quiet
def complete_kind(incomplete: str) -> Found:
    """Return the kinds of `mtkd list`."""
    return [(kind, "") for kind in (*KINDS, "runs")]


@_quiet
def complete_entry(incomplete: str) -> Found:
    """Return the names of all entries."""
    return _entries(KINDS)


def _entries(kinds: Iterable[str]) -> Found:
    from mtkd_cli.plugin.registry import load_registry

    return [
        (entry.spec.name, entry.spec.summary) for kind in kinds for entry in load_registry().listing(kind)
    ]


def _bash_word() -> str:
    """Return the word that bash completes; empty in other shells."""
    words, index = os.environ.get("COMP_WORDS", "").split("\n"), os.environ.get("COMP_CWORD", "")
    if len(words) == 1:
        words = words[0].split()
    return words[int(index)] if index.isdecimal() and int(index) < len(words) else ""


def _join(words: list[str]) -> list[str]:
    """Return overrides that bash split at ``=`` as they were typed."""
    found: list[str] = []
    for index, word in enumerate(words):
        if found and (word == "=" or words[index - 1] == "="):
            found[-1] += word
        else:
            found.append(word)
    return found
