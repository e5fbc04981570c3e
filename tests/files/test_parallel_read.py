"""Many files are read by a few threads; a file that cannot be read is named."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import numpy as np
import pytest

from mtkd_cli.errors import DataError
from mtkd_cli.files import parallel_read


def write(count: int) -> list[Path]:
    paths = [Path(f"{number:03}") for number in range(count)]
    for number, path in enumerate(paths):
        path.write_bytes(b"x" * number)
    return paths


@pytest.mark.parametrize("count", [0, 1, 3, 600])
def test_reads_each_selected_file_once(count: int) -> None:
    paths, rows = write(count), np.arange(count)[::-1]
    contents: dict[int, bytes] = {}
    done = list(parallel_read.read_each(paths, rows, contents.__setitem__))
    assert contents == {index: b"x" * row for index, row in enumerate(rows.tolist())}
    assert done == sorted(done)
    assert done[-1:] == [count][:count]


@pytest.mark.parametrize("remote_seconds", [0.0, 10.0])
def test_stats_are_those_of_the_system(remote_seconds: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parallel_read, "REMOTE_SECONDS", remote_seconds)
    paths = write(300)
    os.utime(paths[7], ns=(5, 123_456_789_987_654_321))
    times = parallel_read.stat_each(list(map(str, paths)))
    assert times[:, 0].tolist() == list(range(300))
    assert times[7, 1] == 123_456_789_987_654_321
    assert times[7, 2] == paths[7].stat().st_ctime_ns


def test_names_file_that_cannot_be_read() -> None:
    paths = write(20)
    paths[13].unlink()
    with pytest.raises(DataError, match="cannot be read: No such file") as missing:
        parallel_read.stat_each(list(map(str, paths)))
    paths[13].mkdir()
    with pytest.raises(DataError, match="cannot be read: Is a directory") as folder:
        list(parallel_read.read_each(paths, np.arange(20), lambda index, content: None))
    assert missing.value.where == folder.value.where == "013"


def test_an_error_of_the_function_ends_reading() -> None:
    def fail(index: int, content: bytes) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        list(parallel_read.read_each(write(20), np.arange(20), fail))


def test_reads_large_files_one_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parallel_read, "LARGE_BYTES", 0)
    busy = threading.Lock()
    seen = []

    def use(index: int, content: bytes) -> None:
        seen.append(busy.acquire(blocking=False))
        threading.Event().wait(0.001)
        busy.release()

    list(parallel_read.read_each(write(40), np.arange(1, 40), use))
    assert seen == [True] * 39
