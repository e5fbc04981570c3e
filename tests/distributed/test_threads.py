"""A step has the threads that its work needs: by a rule, so that runs repeat to the bit."""

from __future__ import annotations

import pytest
import torch

from mtkd_cli.distributed.threads import (
    MACS_PER_THREAD,
    Threads,
    threads_of_engine,
    threads_of_option,
    use_threads,
)


@pytest.mark.parametrize(
    ("work", "count"), [(0.0, 1), (0.5, 1), (1.9, 1), (2.0, 2), (3.5, 3), (4.0, 4), (1000.0, 4)]
)
def test_a_thread_for_each_part_of_the_work(work: float, count: int) -> None:
    assert Threads(4).of_step(work * MACS_PER_THREAD) == count
    assert Threads(4, automatic=False).of_step(work * MACS_PER_THREAD) == 4


def test_a_given_number_is_used_as_it_is() -> None:
    assert threads_of_option(3) == Threads(3, automatic=False)
    assert threads_of_option(0) == Threads(torch.get_num_threads())


@pytest.mark.parametrize("threads", [Threads(2), Threads(2, automatic=False)])
def test_a_run_keeps_its_threads(threads: Threads) -> None:
    assert threads_of_engine({"mtkd": "1", **threads.as_dict(), "processes": 2}) == threads


def test_runs_of_earlier_versions_have_a_fixed_number() -> None:
    assert threads_of_engine({"threads": 2}) == Threads(2, automatic=False)
    assert threads_of_engine({}) is None


def test_the_number_before_comes_back() -> None:
    before = torch.get_num_threads()
    with pytest.raises(ValueError, match="x"), use_threads(before + 1):
        assert torch.get_num_threads() == before + 1
        raise ValueError("x")
    assert torch.get_num_threads() == before
