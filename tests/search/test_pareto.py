"""Which students no other student dominates."""

from __future__ import annotations

from mtkd_cli.report.run_result import PrimaryMetric
from mtkd_cli.report.search_result import Candidate
from mtkd_cli.search.pareto import with_front


def front(higher: bool, *students: tuple[str, float | None, float, int]) -> list[str]:
    built = [Candidate(name, score=score, latency_ms=ms, bytes=size) for name, score, ms, size in students]
    return [each.student for each in with_front(built, PrimaryMetric("m", higher)) if each.front]


def test_a_student_that_is_worse_in_everything_is_not_on_the_front() -> None:
    assert front(True, ("good", 0.9, 1.0, 100), ("worse", 0.8, 1.0, 100), ("fast", 0.7, 0.5, 100)) == [
        "good",
        "fast",
    ]


def test_a_student_that_is_best_in_size_alone_is_on_the_front() -> None:
    assert front(True, ("good", 0.9, 1.0, 100), ("small", 0.1, 2.0, 10)) == ["good", "small"]


def test_equal_students_are_both_on_the_front() -> None:
    assert front(True, ("a", 0.9, 1.0, 100), ("b", 0.9, 1.0, 100)) == ["a", "b"]


def test_errors_count_down() -> None:
    assert front(False, ("good", 0.1, 1.0, 100), ("worse", 0.2, 1.0, 100)) == ["good"]


def test_students_without_score_are_not_on_the_front() -> None:
    assert front(True, ("failed", None, 0.1, 1), ("good", 0.9, 1.0, 100)) == ["good"]
    assert front(True, ("undefined", float("nan"), 1.0, 100), ("good", 0.9, 1.0, 100)) == ["good"]
