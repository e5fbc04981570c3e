"""Decide whether cells of a grid are trained several at a time, and do what they share before."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace

from mtkd_cli.compare.grid import Cell
from mtkd_cli.compare.job_count import choose_jobs
from mtkd_cli.compare.parallel import Parallel
from mtkd_cli.compare.runner import Trainer, is_finished, run_name
from mtkd_cli.compare.shared_work import prepare_shared, student_key, teachers_key
from mtkd_cli.training.context import Context


@contextmanager
def several_at_a_time(
    trainer: Trainer, cells: Sequence[Cell], jobs: int, tuned: int = 0
) -> Iterator[Trainer]:
    """Yield a trainer that trains several cells at a time, or the given one; say which.

    Args:
        trainer: trainer in this process.
        cells: the cells to train.
        jobs: how many to train at a time, see `choose_jobs`.
        tuned: number of methods that are tuned before, each one trial after another.
    """
    if jobs == 1 or len(cells) == 1:
        yield trainer
        return
    left, students = _survey(trainer, cells, is_tuned=bool(tuned))
    waiting = sum(map(len, left.values()))
    if waiting < 2:
        yield trainer
        return
    count, why = choose_jobs(jobs, students, max(tuned, waiting))
    trainer.progress.say(f"{waiting} students, {count} at a time: {why} (--jobs)")
    if count == 1:
        yield trainer
        return
    with Parallel(count, trainer.progress) as parallel:  # the processes start meanwhile
        for first, *others in left.values():
            if others:
                prepare_shared(trainer.context_of(first))
        yield replace(trainer, parallel=parallel)


def _survey(
    trainer: Trainer, cells: Sequence[Cell], is_tuned: bool
) -> tuple[Mapping[str, list[Cell]], list[Context]]:
    """Return the unfinished cells by their teachers, and a context for each different student."""
    left: dict[str, list[Cell]] = {}
    students: dict[str, Context] = {}
    for cell in cells:  # one after the other: each context has the data
        context = trainer.context_of(cell)
        if is_tuned or not is_finished(run_name(trainer.setup.name, cell, context, trainer.baseline)):
            left.setdefault(teachers_key(context), []).append(cell)
            students.setdefault(student_key(context), context)
    return left, list(students.values())
