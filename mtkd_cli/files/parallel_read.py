"""Look at many files, and read them, with a few threads and bounded memory."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mtkd_cli.errors import DataError
from mtkd_cli.files.regular_file import refuse_special

THREADS = 4
"""Threads that read. They hide the latency of a disk; more would wait for each other to run Python code."""

REMOTE_THREADS = 16
REMOTE_SECONDS = 100e-6
"""Time to look at a file from which it is on a network. Local ones are faster looked at one by one."""

FILES_A_TASK = 256

LARGE_BYTES = 32 * 2**20
"""Files above this size are read one at a time, which bounds the memory."""


def stat_each(paths: Sequence[str]) -> NDArray[np.int64]:
    """Return size in bytes, time of modification and time of change in ns of each file, ``[N, 3]``.

    Raises:
        DataError: a file does not exist or cannot be reached; names the file.
    """
    found = np.empty((len(paths), 3), np.int64)

    def stat(start: int) -> None:
        for row, path in enumerate(paths[start : start + FILES_A_TASK], start):
            try:
                stat = os.stat(path)  # noqa: PTH116  (a million paths)
            except OSError as error:
                raise _unreadable(path, error) from error
            found[row] = stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns

    started = time.perf_counter()
    stat(0)
    is_remote = time.perf_counter() - started > REMOTE_SECONDS * min(FILES_A_TASK, len(paths))
    with ThreadPoolExecutor(REMOTE_THREADS if is_remote else 1) as threads:
        for _ in threads.map(stat, range(FILES_A_TASK, len(paths), FILES_A_TASK)):
            pass
    return found


def read_each(
    paths: Sequence[Path], rows: NDArray[np.int64], use: Callable[[int, bytes], None]
) -> Iterator[int]:
    """Read some of the files; yield how many of them are done, first ones first.

    Args:
        paths: ``[N]`` files.
        rows: ``[R]`` indices of the files to read.
        use: receives the content of the file at ``rows[i]`` as ``use(i, content)``; several threads call it.

    Raises:
        DataError: a file cannot be read; names the file.
    """
    one_large = threading.Lock()
    step = max(1, min(FILES_A_TASK, len(rows) // (4 * THREADS)))

    def read(start: int) -> int:
        part = rows[start : start + step].tolist()
        for index, row in enumerate(part, start):
            with contextlib.ExitStack() as stack:
                try:
                    file = stack.enter_context(open(paths[row], "rb", buffering=0, opener=refuse_special))
                    if os.fstat(file.fileno()).st_size > LARGE_BYTES:
                        stack.enter_context(one_large)
                    content = file.readall()
                except OSError as error:
                    raise _unreadable(paths[row], error) from error
                use(index, content)
        return len(part)

    done = 0
    with ThreadPoolExecutor(THREADS) as threads:
        for count in threads.map(read, range(0, len(rows), step)):
            done += count
            yield done


def _unreadable(path: Path | str, error: OSError) -> DataError:
    return DataError(
        f"the file cannot be read: {error.strerror or error}",
        where=str(path),
        hint="check that it exists, and its permissions",
    )
