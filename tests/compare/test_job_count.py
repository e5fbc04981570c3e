"""How many students are trained at a time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from mtkd_cli.cli.jobs_option import jobs_of
from mtkd_cli.compare import job_count
from mtkd_cli.compare.job_count import AUTO, choose_jobs
from mtkd_cli.distributed.threads import Threads
from mtkd_cli.errors import UsageError
from mtkd_cli.training.context import Context


@pytest.fixture
def free(monkeypatch: pytest.MonkeyPatch) -> Callable[[int | None], None]:
    """Set the number of processes that fit into memory."""
    return lambda count: monkeypatch.setattr(job_count, "fitting_processes", lambda: count)


def with_work(context: Context, monkeypatch: pytest.MonkeyPatch, threads: int, steps: int) -> Context:
    monkeypatch.setattr(job_count, "threads_of_student", lambda context: threads)
    monkeypatch.setattr(job_count, "plan_steps", lambda context: (steps, 1))
    return replace(context, threads=Threads(8))


@pytest.mark.parametrize(
    ("threads", "steps", "memory", "waiting", "count"),
    [
        (1, 10**6, None, 100, 8),
        (1, 10**6, 99, 5, 5),
        (3, 10**6, 99, 100, 2),
        (8, 10**6, 99, 100, 1),
        (1, 10**6, 3, 100, 3),
        (1, 10**6, 0, 100, 1),
        (1, 500, 99, 12, 3),  # 6,000 steps
        (1, 10, 99, 12, 1),
        (2, 10, 99, 12, 4),  # long steps
    ],
)
def test_jobs_use_all_threads_as_far_as_work_and_memory_go(
    context: Callable[..., Context],
    monkeypatch: pytest.MonkeyPatch,
    free: Callable[[int | None], None],
    threads: int,
    steps: int,
    memory: int | None,
    waiting: int,
    count: int,
) -> None:
    free(memory)
    busy = with_work(context("train.lr=0.01"), monkeypatch, threads, steps)
    assert choose_jobs(AUTO, [busy], waiting)[0] == count


def test_a_given_number_is_used_but_not_more_than_there_is_to_do(context: Callable[..., Any]) -> None:
    assert choose_jobs(3, [context()], 5)[0] == 3
    assert choose_jobs(300, [context()], 5)[0] == 5


def test_live_teachers_keep_all_threads(context: Callable[..., Any]) -> None:
    live = context("views=live", "train.epochs=10000")
    assert choose_jobs(AUTO, [replace(live, threads=Threads(8))], 100)[0] == 1


def test_a_real_student_is_counted(context: Callable[..., Any]) -> None:
    given = replace(context("train.epochs=10000"), threads=Threads(8))
    assert job_count.threads_of_student(given) == 1
    assert choose_jobs(AUTO, [given], 4)[0] in (1, 2, 3, 4)  # as memory has it
    assert choose_jobs(AUTO, [replace(given, threads=Threads(8, automatic=False))], 4)[0] == 1


@pytest.mark.parametrize("text", ["0", "-1", "two", "", "257", "1.5", "²", "9" * 30])
def test_other_numbers_of_jobs_are_refused(text: str) -> None:
    with pytest.raises(UsageError, match="number of jobs"):
        jobs_of(text)
    assert [jobs_of("auto"), jobs_of("1"), jobs_of("256")] == [0, 1, 256]
