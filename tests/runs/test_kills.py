"""Runs that are really killed, by SIGKILL from outside, go on to the same bits."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_runs_killed_at_random_and_at_chosen_points_go_on_to_the_same_bits() -> None:
    command = [sys.executable, "-m", "tests.kill_harness", "--kills", "6", "--flips", "6"]
    done = subprocess.run(
        command,
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    facts = json.loads(done.stdout)
    assert facts["survived"] == facts["kills"] > 0, facts
    assert sum(facts["flips"].values()) == 6
