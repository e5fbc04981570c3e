"""What decides a teacher's outputs, as a content key."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mtkd_cli.errors import DataError, missing_path
from mtkd_cli.files import hashing
from mtkd_cli.recipe.resolve import ModelPart
from mtkd_cli.recipe.schema import Teacher
from mtkd_cli.safe_loading.local_code import source_hash
from mtkd_cli.teachers.declared_classes import declared_classes
from mtkd_cli.teachers.fine_tuning import key as fit_key
from mtkd_cli.training.context import Context


def identity(part: ModelPart, teacher: Teacher, classes: tuple[str, ...] | None = None) -> dict[str, Any]:
    """Return everything that decides a teacher's weights and preprocessing, without loading it.

    Args:
        part: its provider.
        teacher: as the recipe has it.
        classes: the data's, which the numbers in ``classes:`` stand for.
    """
    import importlib.metadata

    files = _files_of(part)  # says which extra is missing
    versions = {name: importlib.metadata.version(name) for name in ("mtkd", *part.spec.requires)}
    return {
        "provider": f"{part.plugin.distribution}:{part.spec.name}",
        "versions": {**versions, part.plugin.distribution: part.plugin.version},
        "model": part.model,
        "source": source_hash(part.model) if part.spec.name == "python" else "",
        "files": files,
        "pretrained": teacher.pretrained,
        "checkpoint": _file_hash(teacher.checkpoint, teacher.name),
        "classes": declared_classes(teacher, teacher.name, classes),
        **({"background": teacher.background} if teacher.background else {}),
        "input": teacher.input.model_dump(mode="json"),
        "outputs": teacher.outputs,
        "fit": teacher.fit.model_dump(mode="json") if teacher.fit else None,
    }


def _files_of(part: ModelPart) -> list[str]:
    """Return the hashes of the files that a model is made of, in the provider's order."""
    files = getattr(part.create(), "files", None)
    return [] if files is None else [_sha256(path) for path in files(part.model)]


def _file_hash(path: str | None, where: str) -> str:
    if path is None:
        return ""
    if not Path(path).is_file():
        raise missing_path(path, f"teacher {where!r}: checkpoint" if where else "student: checkpoint")
    return _sha256(Path(path))


def _sha256(path: Path) -> str:
    try:
        return hashing.file_sha256(path)
    except OSError as error:
        raise DataError(
            f"the file cannot be read: {error.strerror}", str(path), "may you read it?"
        ) from error


def who_is(teacher: Teacher, part: ModelPart, context: Context) -> dict[str, Any]:
    """Return everything that decides a teacher's answers, without loading it."""
    data = context.data.input
    who: dict[str, Any] = {
        "model": identity(part, teacher, context.data.classes),
        "channels": data.channels,
        "size": data.size,
        "mean": data.mean,
        "std": data.std,
        **({"columns": [[c.name, *c.categories] for c in data.columns]} if data.columns else {}),
    }
    return {**who, "fit": fit_key(who, teacher, context) if teacher.fit else None}
