"""One rule for the local code that a run names: it is announced, and runs only if the user allows it.

It is allowed for runs of this user whose code has not changed (`mtkd_cli.inference.own_runs`), and where the
user
says so with ``--trust-code``. Nothing is imported before.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mtkd_cli.errors import DataError
from mtkd_cli.inference import own_runs
from mtkd_cli.safe_loading.local_code import PREFIX

OPTION = "--trust-code"
_announced: set[tuple[str, str]] = set()


def permit(code: Sequence[str], facts: Mapping[str, Any], where: str, trust_code: bool) -> None:
    """Announce the code of a run that is about to run, once a process.

    Args:
        code: references, ``python:FILE.py:NAME`` or ``python:MODULE:NAME``.
        facts: the run's ``student.json``, unchecked or checked.
        where: the run's folder.
        trust_code: whether the user allowed it.

    Raises:
        DataError: the user did not allow it, and it is not the unchanged code of a run of theirs.
    """
    if not code:
        return
    named = ", ".join(map(_in_full, code))
    if not trust_code:
        own = own_runs.is_signed(facts)
        other = own_runs.changed(facts, code) if own else code
        if other:
            what = "Python code that changed, or is not here, since you ran it" if own else "Python code"
            raise DataError(
                f"the run needs {what}: {', '.join(map(_in_full, other))}",
                where=where,
                hint=f"read that code; if you trust it and the run: {OPTION} (in Python: trust_code=True)",
            )
    announce(named, where)


def announce(named: str, where: str) -> None:
    """Say once that code runs."""
    if (named, where) not in _announced:
        _announced.add((named, where))
        logging.getLogger("mtkd").warning("%s runs Python code: %s", where, named)


def _in_full(reference: str) -> str:
    """Return a reference with the file that it stands for."""
    file, _, name = reference.removeprefix(PREFIX).rpartition(":")
    return f"{name} of {Path(file).absolute()}" if file.endswith(".py") else f"{name} of the module {file}"
