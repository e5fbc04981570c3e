"""A job of a worker process: train one student of a comparison, or one seed of a run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mtkd_cli.compare.grid import Cell
from mtkd_cli.distributed.threads import Threads
from mtkd_cli.recipe.load import load
from mtkd_cli.recipe.resolve import Resolved
from mtkd_cli.recipe.trusted_files import with_trusted_files
from mtkd_cli.runs.baseline_choice import BaselineChoice


@dataclass(frozen=True)
class Setup:
    """What all jobs of a command share.

    Attributes:
        recipe: recipe file, or name of a built-in recipe.
        name: name of the recipe, the prefix of run names.
        device: value of ``--device``.
        threads: CPU threads of each job.
        trusted: model files that may run code while they are loaded.
        trust_code: whether Python code that earlier runs name may run.
    """

    recipe: str
    name: str
    device: str
    threads: Threads
    trusted: frozenset[Path] = frozenset()
    trust_code: bool = False

    def parts(self, overrides: Sequence[str]) -> Resolved:
        """Return the recipe with overrides, and its plugins."""
        return with_trusted_files(load(self.recipe, overrides), self.trusted, self.trust_code)


@dataclass(frozen=True)
class Job:
    """One student to train.

    Attributes:
        setup: what all jobs share.
        cell: its method, seeds and overrides.
        baseline: baselines to train with it.
        run: name of its run; empty: derived from everything that changes its weights.
        shown_remarks: keys of the remarks already shown.
        live: whether to report the progress for a live display.
    """

    setup: Setup
    cell: Cell
    baseline: BaselineChoice
    run: str = ""
    shown_remarks: tuple[str, ...] = ()
    live: bool = False

    def as_dict(self) -> dict[str, Any]:
        """Return the job for JSON."""
        setup, threads = self.setup, self.setup.threads
        return {
            **vars(self),
            "setup": {
                **vars(setup),
                "threads": [threads.limit, threads.automatic],
                "trusted": sorted(map(str, setup.trusted)),
            },
            "cell": vars(self.cell),
            "baseline": str(self.baseline),
        }


def job_from_dict(facts: dict[str, Any]) -> Job:
    """Return the job that `Job.as_dict` described."""
    setup, cell = facts["setup"], facts["cell"]
    return replace(
        Job(**facts),
        setup=Setup(
            **{
                **setup,
                "threads": Threads(*setup["threads"]),
                "trusted": frozenset(map(Path, setup["trusted"])),
            }
        ),
        cell=Cell(_pairs(cell["method"]), _pairs(cell["seeds"]), tuple(cell["overrides"])),
        baseline=BaselineChoice(facts["baseline"]),
        shown_remarks=tuple(facts["shown_remarks"]),
    )


def _pairs(listed: Sequence[Sequence[str]]) -> tuple[tuple[str, str], ...]:
    return tuple((key, value) for key, value in listed)
