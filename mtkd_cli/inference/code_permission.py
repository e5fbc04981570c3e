"""Permission to run the local code that a run names, with a warning that names it.

Code may run if the run was made by this user and the code has not changed (`mtkd_cli.inference.own_runs`), or
with ``--trust-code``. Nothing is imported before the permission is checked.
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
    """Check that a run's local code may run, and warn once per process that it does.

    Args:
        code: references ``python:FILE.py:NAME`` or ``python:MODULE:NAME``.
        facts: content of ``student.json``, validated or not.
        where: the run folder.
        trust_code: whether the user allowed the code to run.

    Raises:
        DataError: the user did not allow it, and the run is not theirs or its code has changed.
    """
    if not code:
        return
    named = ", ".join(map(_describe, code))
    if not trust_code:
        own = own_runs.is_signed(facts)
        other = own_runs.list_changed_code(facts, code) if own else code
        if other:
            what = "Python code that was changed or removed since you ran it" if own else "Python code"
            raise DataError(
                f"the run needs {what}: {', '.join(map(_describe, other))}",
                where=where,
                hint=f"read that code; if you trust it, pass {OPTION} (in Python: trust_code=True)",
            )
    announce(named, where)


def announce(named: str, where: str) -> None:
    """Warn that code runs, once per process."""
    if (named, where) not in _announced:
        _announced.add((named, where))
        logging.getLogger("mtkd").warning("%s runs Python code: %s", where, named)


def _describe(reference: str) -> str:
    """Return a reference with the absolute path of its file, or with its module."""
    file, _, name = reference.removeprefix(PREFIX).rpartition(":")
    return f"{name} of {Path(file).absolute()}" if file.endswith(".py") else f"{name} of the module {file}"
