"""Load the student of a run for a command, with a warning where that runs local code."""

from __future__ import annotations

from rich.console import Console

from mtkd_cli import sealed
from mtkd_cli.cli import console
from mtkd_cli.cli.distilling import stdout_on_stderr
from mtkd_cli.plugins import installed
from mtkd_cli.progress import Progress
from mtkd_cli.run import STUDENT
from mtkd_cli.trained import UNFINISHED, LoadedStudent, folder_of, load_student, local_code


def student_of(run: str) -> LoadedStudent:
    """Return the student of a run."""
    registry = installed()
    console.warn(registry.warnings())
    facts = sealed.read(folder_of(run) / STUDENT, UNFINISHED)
    console.warn([f"this student runs local code: {name}" for name in local_code(facts)])
    with stdout_on_stderr():
        return load_student(run, registry)


def progress() -> Progress:
    """Return progress on stderr."""
    return Progress(Console(stderr=True))
