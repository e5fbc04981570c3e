"""Train the cells of a grid, each as its own run, one or several at a time. Finished runs are reused."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from mtkd_cli.compare.grid import Cell
from mtkd_cli.compare.job import Job, Setup
from mtkd_cli.compare.parallel import Parallel
from mtkd_cli.compare.students_left import TimeLeft
from mtkd_cli.errors import MtkdError
from mtkd_cli.files import hashing
from mtkd_cli.inference.run_files import ROOT
from mtkd_cli.recipe.resolve import Resolved
from mtkd_cli.report import results
from mtkd_cli.report.run_result import RunResult
from mtkd_cli.runs import names, pipeline
from mtkd_cli.runs.baseline_choice import BaselineChoice
from mtkd_cli.runs.folder import Run, find_manifest
from mtkd_cli.store import content_store, inventory
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
        setup: recipe, device and threads.
        parts_of: function that resolves the recipe with overrides.
        progress: progress display.
        baseline: baselines to train with each cell.
        parallel: trains several cells at a time; None: one after the other, in this process.
    """

    setup: Setup
    parts_of: Callable[[Sequence[str]], Resolved]
    progress: Progress
    baseline: BaselineChoice = BaselineChoice.ALL
    parallel: Parallel | None = None

    def train_all(self, cells: Sequence[Cell]) -> list[TrainedCell]:
        """Train all cells. If one fails, print its error and continue with the next.

        Raises:
            MtkdError: all cells failed; the error of the first.
        """
        clock = TimeLeft(len(cells), self.parallel.pool.size if self.parallel else 1)
        failures: dict[int, MtkdError] = {}

        def train_one(index: int) -> TrainedCell:
            cell, number = cells[index], f"student {index + 1} of {len(cells)}"
            self.progress.say(f"{number}{clock.in_words}: {' '.join(cell.overrides)}")
            try:
                with clock.job() as job:
                    found, job.fresh = self.train(cell, self.baseline, str(index + 1))
            except MtkdError as error:
                failures[index] = error
                self.progress.say(f"{'' if self.parallel is None else f'{number} '}failed: {error.what}")
                return TrainedCell(cell, "", None, error.what)
            return found

        if self.parallel is None:
            done = [train_one(index) for index in range(len(cells))]
        else:
            order = seeds_first(cells)
            work = [functools.partial(train_one, index) for index in order]
            by_index = dict(zip(order, self.parallel.all_of(work), strict=True))
            done = [by_index[index] for index in range(len(cells))]
        if failures and all(each.report is None for each in done):
            raise failures[min(failures)]
        return done

    def train(self, cell: Cell, baseline: BaselineChoice, label: str) -> tuple[TrainedCell, bool]:
        """Return the result of a cell, and whether it was trained now. An unfinished run is resumed.

        Args:
            cell: the cell.
            baseline: baselines to train with it.
            label: short name of the cell, before its lines if several are trained at a time.
        """
        if self.parallel is not None:
            last = self.parallel.run(Job(self.setup, cell, baseline), label)
            return TrainedCell(cell, last["run"], results.read_report(ROOT / last["run"])), last["fresh"]
        return train_cell(self.context_of(cell), self.setup.name, cell, baseline)

    def context_of(self, cell: Cell) -> Context:
        """Return the context of a cell."""
        quiet = Progress(self.progress.console, shown_remarks=self.progress.shown_remarks)
        setup = self.setup
        return pipeline.prepare(self.parts_of(cell.overrides), setup.device, quiet, setup.threads)


def seeds_first(cells: Sequence[Cell]) -> list[int]:
    """Return the order in which cells are started: all seeds of a method, then those of the next.

    Cells with the same seeds train the same baselines, so beside each other they would wait.
    """
    methods = list(dict.fromkeys(cell.method for cell in cells))
    return sorted(range(len(cells)), key=lambda index: methods.index(cells[index].method))


def train_cell(
    context: Context, recipe: str, cell: Cell, baseline: BaselineChoice
) -> tuple[TrainedCell, bool]:
    """Return the result of a cell, and whether it was trained now. An unfinished run is resumed.

    Args:
        context: context of the cell.
        recipe: name of the recipe, the prefix of run names.
        cell: the cell.
        baseline: baselines to train with it.
    """
    name = run_name(recipe, cell, context, baseline)
    with (
        content_store.lock_folder(content_store.root() / inventory.CELLS / name),
        Run(name, resume=True) as run,
    ):
        report = run.load_finished_report()
        if report is not None:
            return TrainedCell(cell, name, report), False
        return TrainedCell(cell, name, pipeline.distill(context, run, baseline)), True


def is_finished(name: str) -> bool:
    """Whether a run with this name is finished. Creates no folder."""
    if find_manifest(name, resume=True) is None:
        return False
    with Run(name, resume=True) as run:
        return run.load_finished_report() is not None


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
