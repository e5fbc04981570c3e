"""The runs in ``runs/``: state, score and gain of each. Imports no torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from mtkd_cli.errors import DataError
from mtkd_cli.files import checksummed_json, run_lock
from mtkd_cli.files.lock import lock
from mtkd_cli.inference.run_files import ROOT
from mtkd_cli.report import results
from mtkd_cli.report.run_result import RunResult

State = Literal["done", "resumable", "running", "damaged"]


@dataclass(frozen=True)
class ListedRun:
    """One run.

    Attributes:
        name: name of its folder.
        state: ``done``; ``resumable``, stopped before its end; ``running``, in another process; or
            ``damaged``, a file of it cannot be read.
        changed: time of the last change, in seconds since 1970.
        task: the task; empty if unknown.
        data: the data source; empty if unknown.
        bytes: size of the folder, checkpoints included.
        result: the report of a run that is done.
    """

    name: str
    state: State
    changed: float
    task: str
    data: str
    bytes: int
    result: RunResult | None = None

    @property
    def score(self) -> float | None:
        """The student's primary metric; None if the run is not done."""
        return self.result.scores.student[self.result.metric.name] if self.result else None

    @property
    def gain(self) -> float | None:
        """Gain over the strongest fair baseline, more is better; None if unknown."""
        difference = self.result.verdict.difference if self.result else None
        return None if difference is None else self._sign * difference

    @property
    def gain_interval(self) -> tuple[float, float] | None:
        """95 % interval of the gain, low and high; None if unknown."""
        interval = self.result.verdict.interval if self.result else None
        if interval is None:
            return None
        low, high = sorted(self._sign * end for end in interval)
        return low, high

    @property
    def _sign(self) -> int:
        return 1 if self.result is None or self.result.metric.higher_is_better else -1


def runs(root: Path = ROOT) -> list[ListedRun]:
    """Return the runs in a folder, the last changed first. Folders that are not runs are left out."""
    folders = [path for path in root.iterdir() if path.is_dir()] if root.is_dir() else []
    found = [_describe_run(folder) for folder in folders if _is_run(folder)]
    return sorted(found, key=lambda run: (-run.changed, run.name))


def _is_run(folder: Path) -> bool:
    return (folder / results.MANIFEST).is_file() or (folder / results.RECIPE).is_file()


def _describe_run(folder: Path) -> ListedRun:
    stats = [path.stat() for path in folder.rglob("*") if path.is_file()]
    size = sum(stat.st_size for stat in stats)
    manifest: Mapping[str, Any] = {}
    state: State = "running" if _is_locked(folder) else "resumable"
    result = None
    changed = max((stat.st_mtime for stat in stats), default=folder.stat().st_mtime)
    try:
        if (folder / results.MANIFEST).is_file():
            manifest = checksummed_json.read(folder / results.MANIFEST)
        if results.FINISHED in manifest:
            # the last file that a run writes; report.html may be written again later
            changed = (folder / results.MANIFEST).stat().st_mtime
            result, state = results.read_report(folder), "done"
    except DataError:
        state = "damaged"
    recipe = manifest.get("recipe", {})
    task, data = (str(recipe.get(key, {}).get("name", "")) for key in ("task", "data"))
    return ListedRun(folder.name, state, changed, task, data, size, result)


def _is_locked(folder: Path) -> bool:
    """Whether another process writes the run."""
    try:
        with (folder / run_lock.NAME).open("rb") as file:
            lock(file, shared=True)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False
