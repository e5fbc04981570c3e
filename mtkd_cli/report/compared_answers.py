"""The models whose answers a report shows in detail."""

from __future__ import annotations

from mtkd_cli.report.baseline_names import FAIR
from mtkd_cli.report.run_result import Answers, RunResult


def compared_answers(report: RunResult) -> dict[str, Answers]:
    """Return the answers of the student, of its fair baselines and of the ensemble, by name."""
    details = report.details
    fair = {kind: answers for kind, answers in details.baselines.items() if kind in FAIR}
    return {"student": details.student, **fair, "ensemble": details.ensemble}
