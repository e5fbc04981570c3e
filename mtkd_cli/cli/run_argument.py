"""Load the student of a run for a command."""

from __future__ import annotations

from rich.console import Console

from mtkd_cli.cli import console
from mtkd_cli.inference.student import LoadedStudent, load_student
from mtkd_cli.plugin.registry import load_registry
from mtkd_cli.safe_loading.stdout import stdout_on_stderr
from mtkd_cli.training.progress import Progress


def student_of(run: str, trust_code: bool) -> LoadedStudent:
    """Return the student of a run.

    Args:
        run: folder of a run, or its name in ``runs/``.
        trust_code: whether Python code that the run names may run.
    """
    registry = load_registry()
    console.warn(registry.warnings())
    with stdout_on_stderr():
        return load_student(run, registry, trust_code=trust_code)


def progress() -> Progress:
    """Return a progress display on stderr."""
    return Progress(Console(stderr=True))
