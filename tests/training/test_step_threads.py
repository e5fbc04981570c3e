"""Every training of a run has the threads that its steps need."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from mtkd_cli.distributed import threads
from mtkd_cli.training.progress import Progress
from tests.fixtures.command_line import mtkd
from tests.fixtures.small_runs import SMALL

ONE = ("teachers=[{model: 'mlp:16', name: t, fit: all}]", *SMALL[:4], "fit.labels=all", "student=mlp:4")


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[tuple[str, int]]]:
    """The phase and the threads of every step, with a limit of two threads."""
    found: list[tuple[str, int]] = []
    on_step = Progress.on_step

    def watch(self: Progress, *arguments: object) -> None:
        found.append((self._phase.name, torch.get_num_threads()))
        on_step(self, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(Progress, "on_step", watch)
    torch.set_num_threads(2)  # the fixture of all tests restores it
    yield found
    assert torch.get_num_threads() == 2


def run(name: str, *more: str) -> dict[str, object]:
    """Run the small recipe; return the manifest's engine."""
    done = mtkd("distill", "digits", *ONE, "--baseline", "alone", "--name", name, *more)
    assert done.exit_code == 0, done.output
    engine: dict[str, object] = json.loads((Path("runs") / name / "manifest.json").read_text())["engine"]
    return engine


def test_small_networks_use_one_thread(seen: list[tuple[str, int]]) -> None:
    engine = run("automatic")
    assert set(seen) == {("fit t", 1), ("distill", 1), ("student alone", 1)}
    assert (engine["threads"], engine["step_threads"]) == (2, "automatic")
    assert "distill: 1 of 2 threads" in Path("runs/automatic/log.txt").read_text()
    report = json.loads(Path("runs/automatic/report.json").read_text())
    assert "--threads" not in report["repeat"]


def test_steps_with_much_work_use_more(seen: list[tuple[str, int]], monkeypatch: pytest.MonkeyPatch) -> None:
    # a step of the student has 57,000 multiply-adds, one of the teacher twice as many
    monkeypatch.setattr(threads, "MACS_PER_THREAD", 50_000)
    run("automatic")
    assert set(seen) == {("fit t", 2), ("distill", 1), ("student alone", 1)}


def test_a_given_number_is_used_for_every_step(seen: list[tuple[str, int]]) -> None:
    engine = run("two", "--threads", "2")
    assert {count for _, count in seen} == {2}
    assert (engine["threads"], "step_threads" in engine) == (2, False)
    report = json.loads(Path("runs/two/report.json").read_text())
    assert report["repeat"].endswith("--threads 2")


def test_live_teachers_count(seen: list[tuple[str, int]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "MACS_PER_THREAD", 50_000)
    run("live", "views=live")
    assert ("distill", 2) in seen


def test_the_plan_states_the_choice(seen: list[tuple[str, int]]) -> None:
    shown = mtkd("distill", "digits", *ONE, "--dry-run", COLUMNS="200")
    assert "threads: 1 of 2 for the student; a training step has 56,832 multiply-adds" in shown.output
    assert "fit: all (1 thread)" in shown.output
    assert "threads: 2, as given" in mtkd("distill", "digits", *ONE, "--dry-run", "--threads", "2").output
    assert seen == []
