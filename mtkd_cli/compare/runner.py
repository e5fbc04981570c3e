"""Train the cells of a grid, each as its own run. Finished runs are reused."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from mtkd_cli.compare.grid import Cell
from mtkd_cli.distributed.threads import Threads
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
"""Value of a choice in the key of run names. Earlier versions had only these two choices."""


@dataclass(frozen=True)
class TrainedCell:
    """The result of a cell.

    Attributes:
        cell: the cell.
        run: name of its run; empty if training failed.
        report: report of the run; None if training failed.
        failure: error message if training failed.
    """

    cell: Cell
    run: str
    report: RunResult | None
    failure: str = ""


@dataclass(frozen=True)
class Trainer:
    """Trains cells, or loads their finished runs.

    Attributes:
        name: name of the recipe, the prefix of run names.
        parts_of: function that resolves the recipe with overrides.
        device: value of ``--device``.
        threads: CPU threads.
        progress: progress display.
        baseline: baselines to train with each cell.
    """

    name: str
    parts_of: Callable[[Sequence[str]], Resolved]
    device: str
    threads: Threads
    progress: Progress
    baseline: BaselineChoice = BaselineChoice.ALL

    def train_all(self, cells: Sequence[Cell]) -> list[TrainedCell]:
        """Train all cells. If one fails, print its error and continue with the next.

        Raises:
            MtkdError: all cells failed; the error of the first.
        """
        done: list[TrainedCell] = []
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
                found, fresh = TrainedCell(cell, "", None, error.what), False
            done.append(found)
            spent += [time.monotonic() - started] if fresh else []
        if first and all(each.report is None for each in done):
            raise first
        return done

    def train(self, cell: Cell, baseline: BaselineChoice) -> tuple[TrainedCell, bool]:
        """Return the result of a cell, and whether it was trained now. An unfinished run is resumed."""
        quiet = Progress(self.progress.console, shown_remarks=self.progress.shown_remarks)
        context = pipeline.prepare(self.parts_of(cell.overrides), self.device, quiet, self.threads)
        name = run_name(self.name, cell, context, baseline)
        with content_store.lock_folder(content_store.root() / "cells" / name), Run(name, resume=True) as run:
            report = run.load_finished_report()
            if report is not None:
                return TrainedCell(cell, name, report), False
            return TrainedCell(cell, name, pipeline.distill(context, run, baseline)), True


def run_name(recipe: str, cell: Cell, context: Context, baseline: BaselineChoice) -> str:
    """Return the name of a cell's run: its settings, then a digest of everything that changes its weights."""
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
