"""Rows of ``metrics.jsonl``: incomplete lines are skipped, and each training replaces only its own rows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mtkd_cli.runs import metrics_log

ROWS = [{"phase": "fit a", "step": 1}, {"phase": "distill", "candidate": 1, "step": 1, "kd": 1 / 3}]


def test_skips_incomplete_line() -> None:
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
        ({"phase": "distill"}, [], ROWS),
        (
            {"phase": "distill", "candidate": 1},
            [{"step": 2}],
            [ROWS[0], {"phase": "distill", "candidate": 1, "step": 2}],
        ),
    ],
)
def test_replaces_rows_of_one_training(
    label: dict[str, Any], rows: list[dict[str, Any]], expected: list[dict[str, Any]]
) -> None:
    path = Path("metrics.jsonl")
    for row in ROWS:
        metrics_log.append(path, row)
    path.write_text(path.read_text() + '{"phase": "dis')
    metrics_log.replace_rows(path, label, rows)
    assert metrics_log.read(path) == expected
    assert path.read_text().count("\n") == len(expected)


def test_waits_for_the_disk_once_a_training(monkeypatch: pytest.MonkeyPatch) -> None:
    rows_on_disk: list[int] = []

    def sync(path: Path) -> None:
        rows_on_disk.append(len(metrics_log.read(path)))

    monkeypatch.setattr(metrics_log.atomic, "sync_file", sync)
    file = metrics_log.MetricsFile(Path("metrics.jsonl"))
    for phase in ("fit a", "distill"):
        file.training_began({"phase": phase}, [])
        for step in range(3):
            file.epoch_finished({"phase": phase, "step": step})
    file.run_finished({})
    assert rows_on_disk == [3, 6]


def test_resumes_rows_with_former_phase_name() -> None:
    path = Path("metrics.jsonl")
    former = [{"phase": "fit a", "step": 1}, *({"phase": "distil", "step": step} for step in (1, 2))]
    for row in former:
        metrics_log.append(path, row)
    assert [row["phase"] for row in metrics_log.read(path)] == ["fit a", "distill", "distill"]
    metrics_log.replace_rows(path, {"phase": "distill"}, [{"step": 1}])
    assert metrics_log.read(path) == [{"phase": "fit a", "step": 1}, {"phase": "distill", "step": 1}]
    assert '"distil"' not in path.read_text()
