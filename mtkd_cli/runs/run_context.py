"""The context of a finished run: its recipe as it began, its data, device and threads."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from mtkd_cli.distributed import group
from mtkd_cli.errors import DataError, UsageError
from mtkd_cli.files import checksummed_json
from mtkd_cli.inference.code_permission import permit
from mtkd_cli.inference.student import LoadedStudent
from mtkd_cli.plugin.registry import load_registry
from mtkd_cli.recipe.load import load
from mtkd_cli.recipe.reader import read
from mtkd_cli.recipe.resolve import local_references
from mtkd_cli.report.results import MANIFEST, RECIPE
from mtkd_cli.runs.folder import CHECKPOINTS, training_point
from mtkd_cli.runs.start import load_context, settings_of_run
from mtkd_cli.training.context import Context
from mtkd_cli.training.process_changes import changes_of_run


@contextmanager
def context_of_run(
    student: LoadedStudent, overrides: Sequence[str], warn: Callable[[list[str]], None] = lambda lines: None
) -> Iterator[Context]:
    """Yield the context of the run that trained a student. The run folder is only read.

    Args:
        student: student of the run.
        overrides: ``data.KEY=VALUE``, if the data moved.
        warn: function that receives warnings.

    Raises:
        UsageError: the folder has a student, but no run.
        DataError: the run names Python code that the user did not allow to run, or its data has changed.
    """
    folder = student.folder
    for name in (RECIPE, MANIFEST):
        if not (folder / name).is_file():
            raise UsageError(f"no {name}: not the folder of a run", str(folder), "mtkd list runs")
    begun = checksummed_json.read(folder / MANIFEST)
    code = local_references(read(str(folder / RECIPE), overrides, load_registry())[0])
    permit(code, student.facts, str(folder), student.trust_code)
    parts = load(str(folder / RECIPE), overrides, trust_code=student.trust_code, warn=warn)
    parts, device, threads, _ = settings_of_run(begun, parts, "auto", 0, None)
    changes = changes_of_run(begun, folder.name, group.size(), training_point(folder / CHECKPOINTS))
    with group.began_with(changes.began if changes else 0):
        context = load_context(parts, device, threads, process_changes=changes)
        if context.data.classes != student.classes:
            raise DataError(
                "the data has other classes than those that the student was trained on",
                where="data",
                hint="use the data of the run",
            )
        yield context
