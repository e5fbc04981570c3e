"""Rows of metrics: what was cut is passed over, and each training settles its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mtkd_cli.runs import metrics_log

ROWS = [{"phase": "fit a", "step": 1}, {"phase": "distil", "candidate": 1, "step": 1, "kd": 1 / 3}]


def test_rows_are_read_without_the_one_that_was_cut() -> None:
    path = Path("metrics.jsonl")
    for row in ROWS:
        metrics_log.append(path, row)
    path.write_text(path.read_text() + '{"phase": "dis')
    assert metrics_log.read(path) == ROWS


@pytest.mark.parametrize(
    ("label", "rows", "expected"),
    [
        ({"phase": "fit a"}, [{"step": 1}], ROWS),
        ({"phase": "fit a"}, [], ROWS[1:]),
        ({"phase": "fit b"}, [{"step": 1}], [*ROWS, {"phase": "fit b", "step": 1}]),
        ({"phase": "distil"}, [], ROWS),
        (
            {"phase": "distil", "candidate": 1},
            [{"step": 2}],
            [ROWS[0], {"phase": "distil", "candidate": 1, "step": 2}],
        ),
    ],
)
def test_rows_of_one_training_are_settled_and_those_of_others_stay(
    label: dict[str, Any], rows: list[dict[str, Any]], expected: list[dict[str, Any]]
) -> None:
    path = Path("metrics.jsonl")
    for row in ROWS:
        metrics_log.append(path, row)
    path.write_text(path.read_text() + '{"phase": "dis')
    metrics_log.settle(path, label, rows)
    assert metrics_log.read(path) == expected
    assert path.read_text().count("\n") == len(expected)
