"""Run the cells of a grid, each a run of its own; what is finished is not repeated."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from mtkd_cli.compare.grid import Cell
from mtkd_cli.errors import MtkdError
from mtkd_cli.files import hashing
from mtkd_cli.recipe.resolve import Resolved
from mtkd_cli.report.run_result import RunResult
from mtkd_cli.runs import names, pipeline
from mtkd_cli.runs.baseline_choice import BaselineChoice
from mtkd_cli.runs.folder import Run
from mtkd_cli.store import content_store
from mtkd_cli.teachers.resolved_teacher import resolve_teachers
from mtkd_cli.training.context import Context
from mtkd_cli.training.progress import Progress

NAMED_BEFORE = {BaselineChoice.NONE: False, BaselineChoice.ALONE: True}
"""What stands for a choice in the names of runs, as it did when there was only the student alone."""


@dataclass(frozen=True)
class Done:
    """A cell that was trained, or why it was not: ``report`` is None then."""

    cell: Cell
    run: str
    report: RunResult | None
    failure: str = ""


@dataclass(frozen=True)
class Trainer:
    """Trains cells, or finds what they became.

    Attributes:
        name: the recipe's, with which the runs' names begin.
        parts_of: resolves the recipe with overrides.
        device: see ``--device``.
        progress: shows what is going on.
        baseline: baselines that are trained with each cell.
    """

    name: str
    parts_of: Callable[[Sequence[str]], Resolved]
    device: str
    progress: Progress
    baseline: BaselineChoice = BaselineChoice.ALL

    def all_of(self, cells: Sequence[Cell]) -> list[Done]:
        """Return every cell trained. One that fails is named and the others go on.

        Raises:
            MtkdError: none could be trained; why the first could not.
        """
        done: list[Done] = []
        spent: list[float] = []
        first: MtkdError | None = None
        for number, cell in enumerate(cells):
            left = (
                f", about {_minutes(sum(spent) / len(spent) * (len(cells) - number))} left" if spent else ""
            )
            self.progress.say(f"student {number + 1} of {len(cells)}{left}: {' '.join(cell.overrides)}")
            started = time.monotonic()
            try:
                found, fresh = self.train(cell, self.baseline)
            except MtkdError as error:
                self.progress.say(f"failed: {error.what}")
                first = first or error
                found, fresh = Done(cell, "", None, error.what), False
            done.append(found)
            spent += [time.monotonic() - started] if fresh else []
        if first and all(each.report is None for each in done):
            raise first
        return done

    def train(self, cell: Cell, baseline: BaselineChoice) -> tuple[Done, bool]:
        """Return a cell's run, and whether it was trained just now.

        A run that was begun and not finished goes on where it was.
        """
        quiet = Progress(self.progress.console, shown_remarks=self.progress.shown_remarks)
        context = pipeline.prepare(self.parts_of(cell.overrides), self.device, quiet)
        name = run_name(self.name, cell, context, baseline)
        with content_store.lock_folder(content_store.root() / "cells" / name), Run(name, go_on=True) as run:
            report = run.finished_report()
            if report is not None:
                return Done(cell, name, report), False
            return Done(cell, name, pipeline.distill(context, run, baseline)), True


def run_name(recipe: str, cell: Cell, context: Context, baseline: BaselineChoice) -> str:
    """Return the name of a cell's run: readable, and another one for anything that decides its bits."""
    data = context.data
    key = {
        "recipe": context.recipe.as_dict(),
        "samples": [split.digest for split in data.splits],
        "targets": [hashing.array_sha256(s.samples.targets) for s in (*data.splits, data.all_labels)],
        "teachers": [teacher.key for teacher in resolve_teachers(context)],
        "engine": context.engine,
        "baseline": NAMED_BEFORE.get(baseline, str(baseline)),
    }
    values = "-".join(value for _, value in (*cell.method, *cell.seeds))
    return f"{names.valid_part(f'{recipe}-{values}')}-{content_store.digest(key)[:10]}"


def _minutes(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"
