"""Teachers' temperatures, as a column of a table of teachers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def with_temperatures(
    header: Sequence[str], rows: Sequence[Sequence[str]], teachers: Sequence[Mapping[str, Any]]
) -> tuple[list[str], list[list[str]]]:
    """Return a table's header and rows, with one more column if its teachers are calibrated.

    Args:
        header: of the table.
        rows: one for each teacher.
        teachers: their facts; ``calibration`` is as `mtkd_cli.teachers.temperature.Calibration` has it, or
            not there.
    """
    cells = [_cell(teacher.get("calibration")) for teacher in teachers]
    if not any(cells):
        return list(header), [list(row) for row in rows]
    return [*header, "temperature"], [[*row, cell] for row, cell in zip(rows, cells, strict=True)]


def _cell(calibration: Mapping[str, Any] | None) -> str:
    if calibration is None:
        return ""
    if calibration["kept"]:
        return f"1 ({calibration['kept']})"
    return f"{calibration['temperature']:.3g} (NLL {calibration['before']:.3f} to {calibration['after']:.3f})"
