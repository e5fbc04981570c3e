"""The run folder: what one distillation leaves behind, each file written whole or not at all."""

from __future__ import annotations

import contextlib
import io
import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mtkd_cli.errors import UsageError
from mtkd_cli.files import atomic, checksummed_json, hashing, run_lock, yaml12
from mtkd_cli.inference import own_runs
from mtkd_cli.inference.run_files import ROOT, STUDENT, WEIGHTS
from mtkd_cli.interfaces import Model
from mtkd_cli.recipe.schema import Recipe
from mtkd_cli.report import results
from mtkd_cli.report.results import FINISHED as FINISHED
from mtkd_cli.report.results import MANIFEST as MANIFEST
from mtkd_cli.report.results import PICTURE, RECIPE, REPORT
from mtkd_cli.report.run_result import RunResult
from mtkd_cli.runs import manifest, names
from mtkd_cli.runs.log_file import LogFile
from mtkd_cli.runs.metrics_log import MetricsFile
from mtkd_cli.safe_loading import weights
from mtkd_cli.training.events import RunListener

if TYPE_CHECKING:
    from PIL.Image import Image

CHECKPOINTS = "checkpoints"
METRICS = "metrics.jsonl"
RESULTS = (WEIGHTS, STUDENT, REPORT)
SHOWN = (RECIPE, PICTURE)
"""What the report's page shows besides the report; there may be no picture."""

INITIAL_FILES = {run_lock.NAME, RECIPE}
"""What a folder may hold whose run was killed before its manifest was written: it is as good as new."""


class Run:
    """One run folder, open for writing: no other process writes it until it is closed.

    Args:
        name: the folder's, in ``runs/``.
        resume: take a run that was begun before, too.

    Raises:
        UsageError: the name is taken, in use by another process, or invalid.
        DataError: the folder cannot be made, or its manifest is damaged.

    Attributes:
        begun: what decides the run (see `mtkd_cli.runs.manifest`), once that is written.
    """

    def __init__(self, name: str, resume: bool = False) -> None:
        self.folder = names.folder_of(ROOT, name)
        with atomic.disk_errors(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
        self._lock = run_lock.take(self.folder)
        self.begun: dict[str, Any] | None = None
        self._remove_leftovers()
        self.is_new = {path.name for path in self.folder.iterdir()} <= INITIAL_FILES
        if self.is_new:
            return
        if not resume:
            self.close()
            raise UsageError(
                f"the run {self.folder} exists",
                where="--name",
                hint=f"choose another name, or go on with it: mtkd distill --resume {name}",
            )
        self.begun = checksummed_json.read(self.folder / MANIFEST, hint="start another run")

    @property
    def checkpoints(self) -> Path:
        """Where the checkpoints of the distilled student are kept."""
        return self.folder / CHECKPOINTS

    def begin(self, recipe: Recipe, now: Mapping[str, Any]) -> int | None:
        """Write what decides the run, or compare it with what the run began with; return the views.

        Raises:
            ResumeError: the run began with something else.
        """
        if self.begun is not None:
            for change in manifest.refuse_changes(self.begun, now, str(self.folder)):
                self.log_file.line_logged(change)
            now = {**now, "views": self.begun["views"]}
            self.log_file.line_logged("goes on")
        self.write_recipe(recipe)
        self._write_manifest(now)
        views: int | None = now["views"]
        return views

    def finish(self) -> None:
        """Note that everything is there, with the SHA-256 of each result."""
        shown = [name for name in SHOWN if (self.folder / name).is_file()]
        hashes = hashing.files_sha256(self.folder, (*RESULTS, *shown))
        self._write_manifest({**(self.begun or {}), FINISHED: hashes})

    def load_finished_report(self) -> RunResult | None:
        """Return the report of a run that is done, if every result is what was written; else None.

        Raises:
            DataError: a later version of mtkd wrote the report.
        """
        try:
            hashes = (self.begun or {})[FINISHED]
            if hashing.files_sha256(self.folder, RESULTS).items() <= hashes.items():
                report: RunResult = results.load(self.folder / REPORT)
                return report
        except (OSError, KeyError):
            pass
        return None

    def __enter__(self) -> Run:
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        """Say why the run ended early, if it did, and let other processes have it."""
        if error is not None and not self._lock.closed:
            self._handle_failure(error)
        self.close()

    def close(self) -> None:
        """Let other processes have the run."""
        self._lock.close()

    def _remove_leftovers(self) -> None:
        """Remove what a process that was killed had not finished writing."""
        with atomic.disk_errors(self.folder):
            for path in self.folder.glob(".*"):
                if path.name != run_lock.NAME:
                    path.unlink()

    def _write_manifest(self, facts: Mapping[str, Any]) -> None:
        with atomic.disk_errors(self.folder):
            checksummed_json.write(self.folder / MANIFEST, facts)
        self.begun = dict(facts)

    def write_recipe(self, recipe: Recipe) -> None:
        """Keep the resolved recipe."""
        with atomic.disk_errors(self.folder):
            atomic.write_bytes(self.folder / RECIPE, yaml12.dump(recipe.as_dict()).encode())

    def write_student(self, model: Model, facts: Mapping[str, Any], code: Sequence[str] = ()) -> None:
        """Keep the student's own weights, and beside them what is needed to use it; it vouches for both.

        Args:
            model: the student.
            facts: what ``student.json`` says besides the hash of the weights.
            code: references of the local code that it names.
        """
        part = self.folder / ".student.partial"
        try:
            with atomic.disk_errors(part):
                weights.write(part, model.module.state_dict(), {"mtkd": json.dumps(facts, sort_keys=True)})
                digest = hashing.file_sha256(part)
                atomic.publish(part, self.folder / WEIGHTS)
                checksummed_json.write(
                    self.folder / STUDENT, own_runs.signed({**facts, "weights": digest}, code)
                )
        finally:
            part.unlink(missing_ok=True)

    def write_report(self, report: RunResult) -> None:
        """Keep the report's facts; `mtkd_cli.report.files` makes pages of them."""
        results.write(self.folder, report)

    def copy_student(self, other: Run) -> None:
        """Keep the student of another run as it is there, and its picture of predictions if there is one."""
        for name in (WEIGHTS, STUDENT, PICTURE):
            if (other.folder / name).is_file():
                with atomic.disk_errors(self.folder):
                    atomic.write_bytes(self.folder / name, (other.folder / name).read_bytes())

    def write_picture(self, picture: Image | None) -> None:
        """Keep the picture of predictions, if there is one."""
        if picture is not None:
            content = io.BytesIO()
            picture.save(content, "PNG")
            with atomic.disk_errors(self.folder):
                atomic.write_bytes(self.folder / PICTURE, content.getvalue())

    def _handle_failure(self, error: BaseException) -> None:
        """Log why a run ended early; a new one that has nothing to go on with gives its name back."""
        stopped = isinstance(error, KeyboardInterrupt)
        if self.begun and (stopped or not self.is_new or (self.folder / METRICS).exists()):
            with contextlib.suppress(Exception):
                self.log_file.line_logged(
                    "stopped by a signal" if stopped else f"failed: {type(error).__name__}: {error}"
                )
        elif self.is_new:
            shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def log_file(self) -> LogFile:
        """Appends to ``log.txt``."""
        return LogFile(self.folder / "log.txt")

    @property
    def listeners(self) -> tuple[RunListener, ...]:
        """What writes the log and the metrics of the run as they come."""
        return self.log_file, MetricsFile(self.folder / METRICS)


def read_seed_count(name: str) -> int:
    """Return with how many seeds a run began; 1 if it has not begun."""
    path = ROOT / name / MANIFEST
    found: int = checksummed_json.read(path).get("seeds", 1) if path.exists() else 1
    return found


def read_process_count(name: str) -> int:
    """Return how many processes a run began with; 1 if it has not begun."""
    path = ROOT / name / MANIFEST
    engine: dict[str, int] = checksummed_json.read(path)["engine"] if path.exists() else {}
    return engine.get("processes", 1)
