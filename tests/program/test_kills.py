"""Runs that are really killed, by SIGKILL from outside, go on to the same bits."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]


def facts_of(harness: str, *arguments: str) -> dict[str, Any]:
    """Return what a harness found; it fails if anything was not survived."""
    done = subprocess.run(
        [sys.executable, "-m", f"tests.program.{harness}", *arguments],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    facts: dict[str, Any] = json.loads(done.stdout)
    return facts


@pytest.mark.slow
def test_runs_killed_at_random_and_at_chosen_points_go_on_to_the_same_bits() -> None:
    facts = facts_of("kill_harness", "--kills", "5", "--flips", "4")
    assert facts["survived"] == facts["kills"] > 0, facts
    assert sum(facts["flips"].values()) == 4


@pytest.mark.slow
def test_runs_that_decode_images_when_needed_go_on_to_the_same_bits() -> None:
    facts = facts_of("kill_harness", "--images", "160", "--kills", "3")
    assert facts["survived"] == facts["kills"] > 0, facts


@pytest.mark.slow
def test_killing_one_of_several_processes_their_parent_or_all_changes_no_bit() -> None:
    counts = facts_of("kill_several", "--kills", "3")["survived, of so many, by who was killed"]
    assert all(survived == killed for survived, killed in counts.values())
    assert sum(killed for _, killed in counts.values()) > 0, counts


@pytest.mark.slow
def test_workers_that_are_killed_record_each_shard_at_most_1_1_times() -> None:
    facts = facts_of("kill_workers", "--recordings", "2")
    assert facts["killed"] > 0
    assert facts["recordings of each shard"] <= 1.1, facts
