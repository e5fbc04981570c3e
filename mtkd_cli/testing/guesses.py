"""Check the functions with which plugins recognize the user's files, for ``mtkd init --data``."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

from mtkd_cli.errors import MtkdError
from mtkd_cli.interfaces import DataGuess, TeacherGuess
from mtkd_cli.specs import DataSpec, TeacherSpec, imported
from mtkd_cli.testing.broken import require


def check_guess(who: str, spec: DataSpec | TeacherSpec) -> None:
    """Check that ``spec.guess`` exists, and what it returns for an empty folder and an empty file.

    Args:
        who: the plugin entry, for messages.
        spec: spec of a data source or of a provider.

    Raises:
        BrokenRuleError: it cannot be imported, fails with an unexpected error, or returns other values.
    """
    if not spec.guess:
        return
    kind = DataGuess if isinstance(spec, DataSpec) else TeacherGuess
    try:
        guess = imported(spec.guess)
    except Exception as error:  # importing a plugin may raise anything
        require(False, who, f"guess {spec.guess!r} can be imported", f"{type(error).__name__}: {error}")
        return
    endings = spec.endings if isinstance(spec, TeacherSpec) else (".csv",)
    with tempfile.TemporaryDirectory() as folder:
        files = [Path(folder, "empty")] + [Path(folder, f"file{end}") for end in endings if end[:1] == "."]
        files[0].mkdir()
        for file in files[1:]:
            file.touch()
        for path in files[1:] if isinstance(spec, TeacherSpec) else files:
            try:
                found = guess(path, "")
            except MtkdError:
                continue  # reported to the user as the reason
            except Exception as error:  # a plugin may raise anything
                found = error
            is_valid = isinstance(found, Sequence) and all(isinstance(one, kind) for one in found)
            require(is_valid, who, f"guess returns a list of {kind.__name__}s", f"{path.name}: {found!r}")
            is_empty = isinstance(spec, TeacherSpec) or not found
            require(is_empty, who, "guess recognizes nothing in an empty folder or file", f"{found!r}")
