"""mtkd from Python: the commands as functions. Importing this imports no torch.

The package ``mtkd`` re-exports the functions for users; plugins import them from here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mtkd_cli.inference.predict import Answered
    from mtkd_cli.inference.student import LoadedStudent
    from mtkd_cli.recipe.resolve import Resolved


def distill(
    recipe: str | Path,
    *,
    name: str = "",
    baseline: bool | str = True,
    device: str = "auto",
    trust_pickle: Sequence[str | Path] = (),
    trust_code: bool = False,
    **overrides: Any,
) -> dict[str, Any]:
    """Run a recipe and return its report, as ``report.json`` has it. Shows nothing.

    Args:
        recipe: a file, or the name of a built-in recipe.
        name: of the run; default: the time and the recipe's name.
        baseline: ``none``, ``alone`` or ``all``: baselines that are trained too; True: all, False: none.
        device: ``auto``, ``cpu`` or ``cuda``.
        trust_pickle: model files that are loaded although that can run code in them.
        trust_code: whether Python code that ``run:`` teachers name may run.
        overrides: sections of the recipe: ``strategy="mean"``, ``train={"epochs": 3}``.

    Raises:
        MtkdError: as the command says it: ``what``, ``where``, ``hint``.
    """
    from mtkd_cli.inference.run_files import ROOT
    from mtkd_cli.report import results
    from mtkd_cli.runs import names, pipeline
    from mtkd_cli.runs.folder import Run
    from mtkd_cli.training.progress import Progress

    parts = _parts(recipe, overrides, trust_pickle, trust_code)
    context = pipeline.prepare(parts, device, Progress())
    run = Run(name or names.default_name(ROOT, parts.name))
    return results.as_json(pipeline.distill(context, run, baseline))


def record(
    recipe: str | Path,
    *,
    device: str = "auto",
    trust_pickle: Sequence[str | Path] = (),
    trust_code: bool = False,
    **overrides: Any,
) -> list[str]:
    """Record a recipe's teachers, and return their names. Arguments as `distill` has them."""
    from mtkd_cli.runs import pipeline, view_count
    from mtkd_cli.teachers.prepare import prepare_teachers
    from mtkd_cli.training.progress import Progress

    parts = _parts(recipe, overrides, trust_pickle, trust_code)
    context = pipeline.prepare(parts, device, Progress(), only_teachers=True)
    return [teacher.name for teacher in prepare_teachers(context, view_count.count_views(context.recipe))]


def load_student(run: str | Path, *, trust_code: bool = False) -> LoadedStudent:
    """Return the student of a run; see `mtkd_cli.inference.student`.

    Args:
        run: its folder, or its name in ``runs/``.
        trust_code: whether Python code that it names may run; your own runs need no permission while
            that code is unchanged.
    """
    from mtkd_cli.inference.student import load_student as load

    return load(run, trust_code=trust_code)


def student_files(run: str | Path) -> list[Path]:
    """Return the files that decide what a run's student answers; local code that it names too. Runs none.

    Args:
        run: its folder, or its name in ``runs/``.
    """
    from mtkd_cli.inference import student

    return student.student_files(run)


def evaluate(
    run: str | Path | LoadedStudent, *overrides: str, split: str = "test", trust_code: bool = False
) -> dict[str, Any]:
    """Return the metrics of a run's student; overrides choose other data: ``"data.path=elsewhere"``."""
    from mtkd_cli.inference.evaluate import score

    return score(_student(run, trust_code), overrides, split)


def predict(
    run: str | Path | LoadedStudent,
    paths: Sequence[str | Path],
    batch_size: int = 64,
    *,
    trust_code: bool = False,
) -> Iterator[Answered]:
    """Yield what a run's student says of images, folders or tables.

    See `mtkd_cli.inference.predict.Answered`.
    """
    from mtkd_cli.inference.predict import files_of
    from mtkd_cli.inference.predict import predict as answers

    student = _student(run, trust_code)
    files = files_of(student, [Path(path) for path in paths])
    yield from answers(student, files, batch_size, lambda done: None)


def _student(run: str | Path | LoadedStudent, trust_code: bool) -> LoadedStudent:
    return load_student(run, trust_code=trust_code) if isinstance(run, str | Path) else run


def _parts(
    recipe: str | Path,
    overrides: Mapping[str, Any],
    trust_pickle: Sequence[str | Path],
    trust_code: bool,
) -> Resolved:
    import json

    from mtkd_cli.recipe.load import load

    given = [f"{key}={json.dumps(value)}" for key, value in _flat(overrides)]
    return load(str(recipe), given, trust_pickle=trust_pickle, trust_code=trust_code)


def _flat(overrides: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    """Yield ``("train.epochs", 3)`` of ``train={"epochs": 3}``; JSON is YAML, so any value can be given."""
    for key, value in overrides.items():
        if isinstance(value, Mapping) and value:
            yield from _flat(value, f"{before}{key}.")
        else:
            yield f"{before}{key}", value
