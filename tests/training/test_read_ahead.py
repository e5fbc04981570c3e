"""Reading ahead: the order of the items, a bounded number of calls, and errors."""

import itertools
import threading
import time

import pytest

from mtkd_cli.training.read_ahead import read_ahead


@pytest.mark.parametrize("depth", [0, 1, 3, 10])
def test_yields_every_item_in_order(depth: int) -> None:
    def read(item: int) -> int:
        time.sleep(0.001 * (item % 3))
        return item * item

    assert list(read_ahead(read, range(20), depth)) == [(item, item * item) for item in range(20)]
    assert list(read_ahead(read, [], depth)) == []


def test_reads_only_a_few_items_ahead() -> None:
    """Items may have no end; what is read waits in memory."""
    done = []
    ahead = read_ahead(done.append, itertools.count(), 2)
    next(ahead)
    for _ in range(100):
        time.sleep(0.001)
    assert done == [0, 1, 2]
    ahead.close()


def test_an_error_arrives_at_its_item() -> None:
    def read(item: int) -> int:
        return 1 // (2 - item)

    ahead = read_ahead(read, range(5), 2)
    assert [next(ahead)[0], next(ahead)[0]] == [0, 1]
    with pytest.raises(ZeroDivisionError):
        next(ahead)


def test_no_thread_stays_behind() -> None:
    def names() -> set[str]:
        return {thread.name for thread in threading.enumerate() if thread.name.startswith("mtkd-read-ahead")}

    before = names()
    ahead = read_ahead(lambda item: item, itertools.count(), 2)
    next(ahead)
    ahead.close()
    for _ in range(1000):
        if names() <= before:
            return
        time.sleep(0.01)
    raise AssertionError("a thread is still running")
