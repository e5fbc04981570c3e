"""Small jobs, and workers that record them."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import pytest
import torch

from mtkd_cli.data.dataset import Split
from mtkd_cli.store import row_format as layout_module
from mtkd_cli.store import worker_claims
from mtkd_cli.store.row_format import Layout
from mtkd_cli.teachers import worker_recording
from mtkd_cli.teachers.recording import RecordingJob
from mtkd_cli.training.progress import Progress
from tests.fixtures.recording_workers import (
    LOG,
    SHARD,
    Worker,
    fork,
)
from tests.fixtures.small_runs import Contexts
from tests.program import several  # noqa: F401  makes torch ready for forks


@pytest.fixture(autouse=True)
def small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layout_module, "MAX_SHARD_SAMPLES", SHARD)


@pytest.fixture
def jobs(context: Contexts) -> list[RecordingJob]:
    """Two views; a teacher that computes from the sample's pixels, and logs the shards it computes."""
    run = context()

    def compute(split: Split, rows: Any, number: int) -> torch.Tensor:
        with LOG.open("a") as log:
            log.write(f"{number} {rows.start // SHARD} {os.getpid()}\n")
        for _ in range(100):  # some time, unless the test goes on
            if Path("go").exists():
                break
            time.sleep(0.0025)
        pixels = torch.from_numpy(split.samples.read(rows)).float().flatten(1)
        return pixels[:, 10:20] * (number + 1)

    return [
        RecordingJob(
            "teacher",
            compute,
            Layout((10,), "fp16", None, "classes"),
            run.data.train,
            view,
            {"view": view},
            SHARD,
            run.device,
        )
        for view in range(2)
    ]


@pytest.fixture
def start(jobs: list[RecordingJob]) -> Worker:
    """Fork a worker that records the jobs; return its number."""

    def work(threads: int) -> None:
        torch.set_num_threads(threads)
        with worker_claims.claiming():
            worker_recording.contribute(jobs, "record", Progress())
            worker_recording.finish(jobs, "record", Progress())

    return lambda threads=1: fork(lambda: work(threads))
