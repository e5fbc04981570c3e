"""Teachers' temperatures, as a column of a table of teachers."""

from __future__ import annotations

from collections.abc import Sequence

from mtkd_cli.report.calibration import Calibration


def with_temperatures(
    header: Sequence[str], rows: Sequence[Sequence[str]], calibrations: Sequence[Calibration | None]
) -> tuple[list[str], list[list[str]]]:
    """Return a table's header and rows, with one more column if its teachers are calibrated.

    Args:
        header: of the table.
        rows: one for each teacher.
        calibrations: of each teacher; None of one that is not calibrated.
    """
    if not any(calibrations):
        return list(header), [list(row) for row in rows]
    cells = zip(rows, map(_cell, calibrations), strict=True)
    return [*header, "temperature"], [[*row, cell] for row, cell in cells]


def _cell(calibration: Calibration | None) -> str:
    if calibration is None:
        return ""
    if calibration.kept:
        return f"1 ({calibration.kept})"
    offset = f", offset {calibration.offset:+.2g}" if calibration.offset else ""
    return f"{calibration.temperature:.3g}{offset} (NLL {calibration.before:.3f} to {calibration.after:.3f})"
