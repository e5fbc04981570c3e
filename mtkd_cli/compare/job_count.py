"""Choose how many students are trained at a time: ``--jobs auto``."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from mtkd_cli.models.cost import count_macs
from mtkd_cli.models.preprocess import with_preprocessing
from mtkd_cli.runs.students import build_untrained, plan_steps
from mtkd_cli.runs.view_count import count_views
from mtkd_cli.teachers.probe import sample_views
from mtkd_cli.training.context import Context
from mtkd_cli.training.hyperparameter_search import candidates
from mtkd_cli.training.step_threads import step_macs, threads_of_step

AUTO = 0
"""Value of ``--jobs auto``."""
STEPS_PER_PROCESS = 2000
"""Steps of students that use one thread for which a further process is worth its start."""


def choose_jobs(given: int, contexts: Sequence[Context], waiting: int) -> tuple[int, str]:
    """Return how many students are trained at a time, and why, in words.

    Automatically, they use all threads together: a student whose steps use one thread leaves the others to
    other students. The memory of as many processes as this one must be free.

    Args:
        given: value of ``--jobs``; `AUTO`: chosen by the threads of a step.
        contexts: one context for each different student.
        waiting: number of students to train.
    """
    if given != AUTO:
        return min(given, waiting), "as given"
    if any(context.device.type != "cpu" for context in contexts):
        return 1, "they share a device"
    if any(count_views(context.recipe) is None for context in contexts):
        return 1, "their teachers answer live, with all threads"
    limit = contexts[0].threads.limit
    used = max(map(threads_of_student, contexts))
    reason = f"each uses {used} of {limit} thread{'s' * (limit > 1)}"
    count, fitting = limit // used, fitting_processes()
    steps = waiting * min(
        plan_steps(context)[0] * len(candidates(context.recipe.train)) for context in contexts
    )
    if used == 1 and steps // STEPS_PER_PROCESS < min(count, waiting):
        return max(1, steps // STEPS_PER_PROCESS), f"{steps:,} steps in all"
    if fitting is not None and fitting < min(count, waiting):
        return max(1, fitting), f"{reason}, and memory is free for {max(1, fitting)}"
    return min(count, waiting), reason


def threads_of_student(context: Context) -> int:
    """Return the number of threads of a training step of the student, without live teachers."""
    model, data = with_preprocessing(build_untrained(context)), context.data.train
    batch_size = min(context.recipe.train.batch_size, len(data))
    return threads_of_step(context, step_macs(count_macs(model, sample_views(data)), 0.0, batch_size, 1))


def fitting_processes() -> int | None:
    """Return how many processes of the size of this one fit into the free memory; None if unknown."""
    if not sys.platform.startswith("linux"):
        return None
    try:
        facts = dict(line.split(":", 1) for line in Path("/proc/meminfo").read_text().splitlines())
        free = int(facts["MemAvailable"].split()[0]) * 1024
        resident = int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, KeyError, ValueError, IndexError):
        return None
    return free // max(1, resident)
