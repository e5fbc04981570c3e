"""The run folder and its files. Each file is written completely or not at all."""

from __future__ import annotations

import contextlib
import io
import json
import shutil
import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mtkd_cli.errors import EngineError, UsageError
from mtkd_cli.files import atomic, checksummed_json, hashing, run_lock, yaml12
from mtkd_cli.inference import own_runs
from mtkd_cli.inference.run_files import ROOT, STUDENT, WEIGHTS
from mtkd_cli.interfaces import Model
from mtkd_cli.recipe.schema import Recipe
from mtkd_cli.report import results
from mtkd_cli.report.outcome import outcome_of
from mtkd_cli.report.results import FINISHED as FINISHED
from mtkd_cli.report.results import GALLERY, PICTURE, RECIPE, REPORT
from mtkd_cli.report.results import MANIFEST as MANIFEST
from mtkd_cli.report.run_result import RunResult
from mtkd_cli.report.timing import Timing
from mtkd_cli.runs import manifest, names
from mtkd_cli.runs.log_file import LogFile
from mtkd_cli.runs.metrics_log import MetricsFile
from mtkd_cli.safe_loading import weights
from mtkd_cli.training import checkpoint
from mtkd_cli.training.events import RunListener
from mtkd_cli.training.process_changes import last_process_count

if TYPE_CHECKING:
    from PIL.Image import Image

CHECKPOINTS = "checkpoints"
METRICS = "metrics.jsonl"
RESULTS = (WEIGHTS, STUDENT, REPORT)
SHOWN = (RECIPE, PICTURE, GALLERY)
"""Files that the report's page shows besides the report. There may be no pictures."""

INITIAL_FILES = {run_lock.NAME, RECIPE}
"""Files in the folder of a run that was killed before its manifest was written. It counts as new."""


class Run:
    """One run folder, open for writing. No other process can write it until it is closed.

    Args:
        name: name of the folder in ``runs/``.
        resume: whether to open a run that exists.

    Raises:
        UsageError: the name is taken, in use by another process, or invalid.
        DataError: the folder cannot be created, or its manifest is damaged.

    Attributes:
        begun: the manifest (see `mtkd_cli.runs.manifest`); None until it is written.
    """

    def __init__(self, name: str, resume: bool = False) -> None:
        self.folder = names.folder_of(ROOT, name)
        with atomic.disk_errors(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
        self._lock = run_lock.take(self.folder)
        self.begun: dict[str, Any] | None = None
        self._remove_leftovers()
        self.is_new = is_new(self.folder)
        self._is_own = not (self.folder / RECIPE).exists()
        if self.is_new:
            return
        if not resume:
            self.close()
            raise name_taken(self.folder)
        self.begun = _read_manifest(self.folder)

    @property
    def checkpoints(self) -> Path:
        """Folder of the distilled student's checkpoints."""
        return self.folder / CHECKPOINTS

    def begin(self, recipe: Recipe, now: Mapping[str, Any]) -> int | None:
        """Write the manifest of a new run, or compare it with that of a resumed run.

        Args:
            recipe: the recipe with a value for every ``auto``.
            now: the manifest, see `mtkd_cli.runs.manifest.describe_run`.

        Returns:
            Number of recorded views; None if the teachers answer live.

        Raises:
            ResumeError: the run began with something else.
        """
        started = datetime.now().astimezone().isoformat(timespec="seconds")
        now = {**now, "started": started}
        self._is_resumed, self._began = self.begun is not None, time.monotonic()
        if self.begun is not None:
            for change in manifest.refuse_changes(self.begun, now, str(self.folder)):
                self.log_file.line_logged(change)
            now = {**now, "views": self.begun["views"], "started": self.begun.get("started", started)}
            self.log_file.line_logged("resumed")
        self.write_recipe(recipe)
        self._write_manifest(now)
        views: int | None = now["views"]
        return views

    def log_verdict(self, report: RunResult) -> None:
        """Append the verdict to the log: its last line."""
        self.log_file.line_logged(
            f"verdict: {outcome_of(report.verdict, report.metric)}. {report.verdict.sentence}"
        )

    @property
    def timing(self) -> Timing:
        """When the run started, and the time since `begin`."""
        seconds = round(time.monotonic() - self._began, 1)
        return Timing((self.begun or {})["started"], seconds, self._is_resumed)

    def finish(self) -> None:
        """Mark the run as finished, with the SHA-256 of each result."""
        shown = [name for name in SHOWN if (self.folder / name).is_file()]
        hashes = hashing.files_sha256(self.folder, (*RESULTS, *shown))
        self._write_manifest({**(self.begun or {}), FINISHED: hashes})

    def load_finished_report(self) -> RunResult | None:
        """Return the report of a finished run whose results are unchanged; else None.

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
        """Log why the run ended early, if it did, and release its lock."""
        if error is not None and not self._lock.closed:
            self._handle_failure(error)
        self.close()

    def close(self) -> None:
        """Release the lock of the run."""
        self._lock.close()

    def _remove_leftovers(self) -> None:
        """Remove incomplete files of a killed process."""
        with atomic.disk_errors(self.folder):
            for path in self.folder.glob(".*"):
                if path.name != run_lock.NAME:
                    path.unlink()

    def _write_manifest(self, facts: Mapping[str, Any]) -> None:
        with atomic.disk_errors(self.folder):
            checksummed_json.write(self.folder / MANIFEST, facts)
        self.begun = dict(facts)

    def write_recipe(self, recipe: Recipe) -> None:
        """Write the resolved recipe."""
        with atomic.disk_errors(self.folder):
            atomic.write_bytes(self.folder / RECIPE, yaml12.dump(recipe.as_dict()).encode())

    def write_student(self, model: Model, facts: Mapping[str, Any], code: Sequence[str] = ()) -> None:
        """Write the student's weights, and ``student.json`` with what is needed to use them and checksums.

        Args:
            model: the student.
            facts: content of ``student.json``, without the hash of the weights.
            code: references to the local code that the student needs.
        """
        part = self.folder / ".student.partial"
        try:
            with atomic.disk_errors(part):
                weights.write(part, model.module.state_dict(), {"mtkd": json.dumps(facts, sort_keys=True)})
                digest = hashing.file_sha256(part)
                atomic.publish(part, self.folder / WEIGHTS)
                checksummed_json.write(
                    self.folder / STUDENT, own_runs.sign({**facts, "weights": digest}, code)
                )
        finally:
            part.unlink(missing_ok=True)

    def write_report(self, report: RunResult) -> None:
        """Write the report as JSON; `mtkd_cli.report.files` writes its pages."""
        results.write(self.folder, report)

    def copy_student(self, other: Run) -> None:
        """Copy the student of another run, and its pictures if there are any."""
        for name in (WEIGHTS, STUDENT, PICTURE, GALLERY):
            if (other.folder / name).is_file():
                with atomic.disk_errors(self.folder):
                    atomic.write_bytes(self.folder / name, (other.folder / name).read_bytes())

    def write_picture(self, picture: Image | None, name: str = PICTURE) -> None:
        """Write a picture, by default that of predictions; None removes the file of an earlier attempt."""
        if picture is None:
            (self.folder / name).unlink(missing_ok=True)
            return
        content = io.BytesIO()
        picture.save(content, "PNG")
        with atomic.disk_errors(self.folder):
            atomic.write_bytes(self.folder / name, content.getvalue())

    def _handle_failure(self, error: BaseException) -> None:
        """Log why a run ended early; delete a new run that has nothing to resume.

        A run that was killed before its manifest was written, and one whose other processes are gone, is
        kept: it can be resumed.
        """
        stopped = isinstance(error, KeyboardInterrupt)
        lost = isinstance(error, EngineError)
        if self.begun and (stopped or lost or not self.is_new or (self.folder / METRICS).exists()):
            with contextlib.suppress(Exception):
                self.log_file.line_logged(
                    "stopped by a signal" if stopped else f"failed: {type(error).__name__}: {error}"
                )
        elif self.is_new and self._is_own:
            self._delete()

    def _delete(self) -> None:
        """Delete the folder, the lock last: no other process may begin a run in it meanwhile."""
        with contextlib.suppress(OSError):
            for path in self.folder.iterdir():
                if path.is_dir() and not path.is_symlink():
                    shutil.rmtree(path, ignore_errors=True)
                elif path.name != run_lock.NAME:
                    path.unlink()
            (self.folder / run_lock.NAME).unlink()
            self.folder.rmdir()

    @property
    def log_file(self) -> LogFile:
        """The log file, ``log.txt``."""
        return LogFile(self.folder / "log.txt")

    @property
    def listeners(self) -> tuple[RunListener, ...]:
        """Listeners that write the log and the metrics of the run."""
        return self.log_file, MetricsFile(self.folder / METRICS)


def is_new(folder: Path) -> bool:
    """Whether a run folder is missing, or its run was killed before its manifest was written."""
    names_in_it = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
    return {name for name in names_in_it if not name.startswith(".")} <= INITIAL_FILES


def name_taken(folder: Path) -> UsageError:
    """Return the error of a run whose name is taken."""
    return UsageError(
        f"the run {folder} exists",
        where="--name",
        hint=f"choose another name, or resume the run: mtkd distill --resume {folder.name}",
    )


def find_manifest(name: str, resume: bool) -> dict[str, Any] | None:
    """Return the manifest of the run that `Run` would resume; None if the run would be new. Writes nothing.

    Raises:
        UsageError: the name is invalid, or taken and ``resume`` is not set.
        DataError: the manifest is damaged.
    """
    folder = names.folder_of(ROOT, name)
    if is_new(folder):
        return None
    if not resume:
        raise name_taken(folder)
    return _read_manifest(folder)


def _read_manifest(folder: Path) -> dict[str, Any]:
    return checksummed_json.read(folder / MANIFEST, hint="start another run")


def read_seed_count(name: str) -> int:
    """Return the number of seeds that a run began with; 1 if it has not begun."""
    path = ROOT / name / MANIFEST
    seeds: int = checksummed_json.read(path).get("seeds", 1) if path.exists() else 1
    return seeds


def read_process_count(name: str) -> int:
    """Return the number of processes in which a run continued last; 1 if it has not begun."""
    path = ROOT / name / MANIFEST
    return last_process_count(checksummed_json.read(path)) if path.exists() else 1


def training_point(checkpoints: Path) -> str:
    """Return how far the student is trained in a folder of checkpoints, in words."""
    candidates = sorted(checkpoints.glob("candidate-*"), key=lambda path: int(path.name.partition("-")[2]))
    for candidate in reversed(candidates):
        if found := checkpoint.list_checkpoints(candidate):
            number = candidate.name.partition("-")[2]
            of = f" of candidate {number}" if len(candidates) > 1 else ""
            return f"step {int(found[-1].name[-9:])}{of}"
    return "step 0"
