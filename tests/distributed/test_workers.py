"""Worker processes: several jobs at a time, deaths, and stops."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from mtkd_cli.distributed.workers import Stopped, WorkerPool
from mtkd_cli.errors import EngineError

WORKER = """
import json, os, signal, sys, time

def stop(number, frame):
    raise SystemExit(75)

signal.signal(signal.SIGTERM, stop)
for line in sys.stdin:
    job = json.loads(line)
    if job.get("die"):
        print("no memory left", file=sys.stderr, flush=True)
        os.kill(os.getpid(), signal.SIGKILL)
    print(json.dumps({"working": True}), flush=True)
    time.sleep(job.get("seconds", 0))
    print(json.dumps({"end": "done", "square": job["number"] ** 2, "by": os.getpid()}), flush=True)
"""


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    folder = tmp_path / "modules"
    folder.mkdir()
    (folder / "small_worker.py").write_text(WORKER)
    monkeypatch.syspath_prepend(str(folder))
    return "small_worker"


def ignore(message: dict[str, Any]) -> None:
    pass


def test_several_threads_share_the_workers(module: str) -> None:
    with WorkerPool(module, 2) as pool, ThreadPoolExecutor(4) as threads:
        found = list(threads.map(lambda n: pool.run({"number": n}, ignore), range(8)))
    assert [each["square"] for each in found] == [n * n for n in range(8)]
    assert len({each["by"] for each in found}) <= 2


def test_a_worker_that_is_killed_fails_its_job_only(module: str) -> None:
    with WorkerPool(module, 1) as pool:
        with pytest.raises(EngineError) as caught:
            pool.run({"die": True}, ignore)
        assert "killed by signal 9" in caught.value.what
        assert caught.value.where == "no memory left"
        assert pool.run({"number": 3}, ignore)["square"] == 9


def test_a_stop_ends_what_runs_and_starts_nothing_more(module: str) -> None:
    with WorkerPool(module, 1) as pool, ThreadPoolExecutor(1) as threads:
        begun = threading.Event()
        running = threads.submit(pool.run, {"number": 1, "seconds": 600}, lambda message: begun.set())
        assert begun.wait(60)
        pool.stop()
        with pytest.raises(Stopped):
            running.result(60)
        with pytest.raises(Stopped):
            pool.run({"number": 1}, ignore)


def test_a_failure_kills_the_workers(module: str) -> None:
    begun = threading.Event()
    with ThreadPoolExecutor(1) as threads:
        with pytest.raises(ZeroDivisionError), WorkerPool(module, 1) as pool:
            running = threads.submit(pool.run, {"number": 1, "seconds": 600}, lambda message: begun.set())
            assert begun.wait(60)
            raise ZeroDivisionError
        with pytest.raises(Stopped):
            running.result(60)
