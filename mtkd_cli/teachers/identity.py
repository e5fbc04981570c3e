"""Content keys: everything that affects a teacher's outputs, its fitted weights, or the initial student."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mtkd_cli.errors import DataError, missing_path
from mtkd_cli.files import hashing
from mtkd_cli.interfaces import OutputLayout
from mtkd_cli.recipe.resolve import ModelPart
from mtkd_cli.recipe.schema import Fit, Student, Teacher
from mtkd_cli.safe_loading.local_code import source_hash
from mtkd_cli.teachers.declared_classes import declared_classes
from mtkd_cli.teachers.fit_split import create_fit_split
from mtkd_cli.training.context import Context
from mtkd_cli.training.selection import SELECTION

CHECKPOINT_LAYOUT = 2
"""Raised when another state dict of the same file is used; 2 prefers averaged weights."""


def student_identity(part: ModelPart, student: Student) -> dict[str, Any]:
    """Return everything that affects the student's initial weights and preprocessing, without loading it."""
    teacher_keys = {"classes": None, "outputs": None, "fit": None}  # stores and run folders have these keys
    return {**_model_identity(part, student, "student"), **teacher_keys}


def teacher_identity(part: ModelPart, teacher: Teacher, classes: tuple[str, ...]) -> dict[str, Any]:
    """Return everything that affects a teacher's weights and preprocessing, without loading it.

    Args:
        part: provider of the teacher.
        teacher: entry in the recipe.
        classes: class names of the data, indexed by the numbers in ``classes:``.
    """
    return {
        **_model_identity(part, teacher, f"teacher {teacher.name!r}"),
        "classes": declared_classes(teacher, teacher.name, classes),
        **({"background": teacher.background} if teacher.background else {}),
        "outputs": _outputs(teacher),
        "fit": teacher.fit.model_dump(mode="json", exclude_none=True) if teacher.fit else None,
    }


def _outputs(teacher: Teacher) -> str | dict[str, Any] | None:
    """Return the declared kind of outputs, or all keys of ``outputs:`` if it has more."""
    if teacher.output_layout == OutputLayout() or teacher.outputs is None:
        return teacher.output_kind
    return teacher.outputs.model_dump(mode="json", exclude_none=True)


def teacher_key(teacher: Teacher, part: ModelPart, context: Context) -> dict[str, Any]:
    """Return everything that affects a teacher's outputs, without loading it."""
    data = context.data.input
    key: dict[str, Any] = {
        "model": teacher_identity(part, teacher, context.data.classes),
        "channels": data.channels,
        "size": data.size,
        "mean": data.mean,
        "std": data.std,
        **({"columns": [[c.name, *c.categories] for c in data.columns]} if data.columns else {}),
    }
    return {**key, "fit": _fit_key(key, teacher.fit, context) if teacher.fit else None}


def _fit_key(teacher: Mapping[str, Any], fit: Fit, context: Context) -> dict[str, Any]:
    """Return everything that affects a fitted teacher's weights."""
    data, recipe = context.data, context.recipe
    split = create_fit_split(fit, data, recipe.data)
    return {
        "teacher": dict(teacher),
        "train": data.train.digest,
        "val": data.val.digest,
        "classes": data.classes,
        "targets": [hashing.array_sha256(s.samples.targets) for s in (split.train, data.val)],
        **({"held": hashing.array_sha256(split.held_out)} if len(split.held_out) else {}),
        "augment": recipe.augment.model_dump(mode="json") if fit.train == "all" else None,
        "task": recipe.task.model_dump(mode="json"),
        "loss": {"label_smoothing": recipe.loss.label_smoothing},
        **({"scale": context.task.scale} if context.task.scale else {}),
        "selection": SELECTION,
        "engine": context.engine,
    }


def _model_identity(part: ModelPart, model: Teacher | Student, where: str) -> dict[str, Any]:
    """Return what affects the weights and the preprocessing of a teacher or the student."""
    import importlib.metadata

    files = _files_of(part)  # raises the error that names a missing extra
    versions = {name: importlib.metadata.version(name) for name in ("mtkd", *part.spec.requires)}
    return {
        "provider": f"{part.plugin.distribution}:{part.spec.name}",
        "versions": {**versions, part.plugin.distribution: part.plugin.version},
        "model": part.model,
        "source": source_hash(part.model) if part.spec.local_code else "",
        "files": files,
        "pretrained": model.pretrained,
        "checkpoint": _file_hash(model.checkpoint, where),
        **_weights_choice(model),
        "input": model.input.model_dump(mode="json"),
    }


def _weights_choice(model: Teacher | Student) -> dict[str, Any]:
    """Return what decides which weights of a checkpoint are used; nothing for a file of plain tensors."""
    if model.checkpoint is None or (
        Path(model.checkpoint).suffix == ".safetensors" and not model.checkpoint_key
    ):
        return {}
    return {"checkpoint_layout": CHECKPOINT_LAYOUT, "checkpoint_key": model.checkpoint_key}


def _files_of(part: ModelPart) -> list[str]:
    """Return the hashes of a model's files, in the provider's order."""
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
            f"the file cannot be read: {error.strerror}", str(path), "check its permissions"
        ) from error
