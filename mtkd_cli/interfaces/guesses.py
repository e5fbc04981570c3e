"""What plugins recognize in the user's files, for recipes that ``mtkd init --data`` drafts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

FILL_IN = "FILL-IN"
"""Value of a key that the user must fill in because the files do not say it."""


@dataclass(frozen=True)
class DataGuess:
    """Data that a source recognizes in a file or folder.

    Attributes:
        options: options of the source by their keys in a recipe; `FILL_IN` where the files do not say it.
        reason: what was seen, as a phrase: ``3 folders of images: cat, dog, owl``.
        tasks: tasks that the labels fit; several if the files do not say which.
        why: reason for an option's value, or what to fill in, by key. ``task`` is the reason for the tasks.
        splits: splits that the files contain besides ``train``: any of ``val`` and ``test``.
        classes: class names, where the files state them.
        checks: sentences about what the user should check.
    """

    options: Mapping[str, Any]
    reason: str
    tasks: tuple[str, ...]
    why: Mapping[str, str] = field(default_factory=dict)
    splits: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()
    checks: tuple[str, ...] = ()


@dataclass(frozen=True)
class TeacherGuess:
    """A teacher that a provider recognizes in a file or folder.

    Attributes:
        settings: keys of the teacher in a recipe, ``model`` included; `FILL_IN` where the file does not say
            it.
        reason: what was seen, as a phrase.
        why: reason for a key's value, or what to fill in, by key.
        outputs: number of its outputs, if the file states it.
        has_classes: whether the file states the names of its classes.
        needs_trust: whether loading the file can run code, so that commands need ``--trust-pickle``.
        checks: sentences about what the user should check.
    """

    settings: Mapping[str, Any]
    reason: str
    why: Mapping[str, str] = field(default_factory=dict)
    outputs: int | None = None
    has_classes: bool = False
    needs_trust: bool = False
    checks: tuple[str, ...] = ()
