"""The result of a check."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Literal

from mtkd_cli.errors import MtkdError, RecipeError, type_and_first_line

Status = Literal["ok", "warn", "fail"]


@dataclass(frozen=True)
class Finding:
    """One row of the doctor's table.

    Attributes:
        check: name of the check.
        status: ``ok``, ``warn`` or ``fail``.
        found: what was found, in one sentence.
        hint: what to do about it.
    """

    check: str
    status: Status
    found: str
    hint: str = ""

    def as_dict(self) -> dict[str, str]:
        """Return the row as a JSON object."""
        return asdict(self)


@contextmanager
def collect_failures(check: str, findings: list[Finding]) -> Iterator[None]:
    """Append an exception of the block to ``findings`` as a failed check, and continue."""
    try:
        yield
    except MtkdError as error:
        problems: Sequence[MtkdError] = error.problems if isinstance(error, RecipeError) else [error]
        for problem in problems:
            where = f" ({problem.where})" if problem.where else ""
            findings.append(Finding(check, "fail", f"{problem.what}{where}", problem.hint))
    except Exception as error:  # a plugin, a model or a decoder raises almost anything
        findings.append(Finding(check, "fail", type_and_first_line(error)))
