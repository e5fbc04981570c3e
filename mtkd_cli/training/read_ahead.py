"""Read the inputs of the next batches while the current one is computed."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

DEPTH = 2
"""Number of batches that are read ahead; it bounds the memory for them."""

Item = TypeVar("Item")
Read = TypeVar("Read")


def read_ahead(
    read: Callable[[Item], Read], items: Iterable[Item], depth: int = DEPTH
) -> Iterator[tuple[Item, Read]]:
    """Yield each item with what ``read`` returns for it, in order, however long each call takes.

    Args:
        read: function that runs in another thread, one call at a time.
        items: the items, possibly without end.
        depth: number of calls ahead of the item that is yielded; 0: no thread.
    """
    if not depth:
        for item in items:
            yield item, read(item)
        return
    iterator, waiting = iter(items), deque[tuple[Item, Future[Read]]]()
    pool = ThreadPoolExecutor(1, "mtkd-read-ahead")
    try:
        while True:
            while len(waiting) <= depth and (following := next(iterator, None)) is not None:
                waiting.append((following, pool.submit(read, following)))
            if not waiting:
                return
            item, future = waiting.popleft()
            yield item, future.result()
    finally:  # also if the consumer stops early
        pool.shutdown(wait=False, cancel_futures=True)
