"""Load the models of a recipe: build, fill with weights, put the right head on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mtkd_cli import counter_rng
from mtkd_cli.asking import ROUNDED, refuse_unfit
from mtkd_cli.background import is_listed
from mtkd_cli.data.dataset import Dataset
from mtkd_cli.declared_classes import declared_classes
from mtkd_cli.errors import DataError, UsageError
from mtkd_cli.files import hashing
from mtkd_cli.interfaces import Model, ModelRequest, Task
from mtkd_cli.models.head import with_outputs
from mtkd_cli.models.preprocess import complete
from mtkd_cli.recipe.resolve import ModelPart
from mtkd_cli.recipe.schema import Input, Student, Teacher
from mtkd_cli.safe_loading import weights
from mtkd_cli.safe_loading.local_code import source_hash


def load_teacher(part: ModelPart, teacher: Teacher, data: Dataset, task: Task) -> Model:
    """Return a teacher with its weights, its head fitting the task if it will be fitted.

    Raises:
        DataError: no trained weights and no ``fit: all``, or weights that do not fit.
    """
    pretrained = teacher.pretrained if teacher.pretrained is not None else teacher.checkpoint is None
    where = f"teacher {teacher.name!r} ({teacher.model})"
    seed = teacher.fit.seed if teacher.fit else 0
    own = declared_classes(teacher, where, data.classes)
    if teacher.background and not task.numbered:
        raise UsageError("background: is for detectors", where, "leave it out; classes: names every output")
    listed = task.numbered and own is not None and is_listed(own, data.classes)
    outputs = len(own) - listed if own else task.outputs
    background = listed or teacher.background == "first"
    built = partial(build_model, part, teacher.input, data, outputs, pretrained, seed)
    model = built(background)
    if model.predictions is not None:
        refuse_unfit(model.predictions, teacher, task, where)
    undecided = task.numbered and not background and teacher.background is None
    otherwise = partial(built, background=True) if undecided else None
    model = with_checkpoint(model, teacher.checkpoint, where, part.trusted, otherwise)
    trained = model.trained or (teacher.pretrained is True and not model.partly)
    if not trained and not (teacher.fit and teacher.fit.train == "all"):
        raise DataError(
            f"{teacher.model} has no trained weights",
            where=where,
            hint="give a checkpoint:, or fit: all to train it here; pretrained: true if it brings its own",
        )
    if teacher.fit:
        if not any(parameter.requires_grad for parameter in model.module.parameters()):
            raise UsageError("it has nothing that can be trained", where=where, hint="leave its fit: out")
        if teacher.fit.train == "head" and (not model.head or task.elements):
            raise UsageError(
                f"{teacher.model} has no last layer that can be trained alone",
                where=where,
                hint="train all of it with fit: all",
            )
        model = with_outputs(model, task.outputs, where, teacher.fit.seed)
        model = replace(model, classes=data.classes, scale=task.scale)
    classes = own or model.classes
    wanted = complete(model.input, teacher.input, data.input)
    return replace(model, classes=classes, input=wanted, shaped=_shaped(task, teacher, where))


def _shaped(task: Task, teacher: Teacher, where: str) -> Callable[[Any], Any]:
    """Return what brings a teacher's answers to the task's form: probabilities become log-probabilities."""
    if teacher.outputs is not None and (teacher.outputs == "values") is task.logits:
        hint = "use logits or probabilities" if task.logits else "leave it out"
        raise UsageError(f"outputs: {teacher.outputs} is not for this task", where, hint)
    if teacher.outputs != "probabilities" and not (teacher.outputs is None and task.over_classes):
        return task.shaped
    if teacher.outputs is None:
        return lambda output: _no_probabilities(task.shaped(output), where)

    def shaped(output: Any) -> Any:
        probabilities = task.shaped(output).float()
        again = task.averageable(task.as_output(probabilities))
        if not torch.allclose(again, probabilities, atol=ROUNDED, rtol=0):
            low, high = probabilities.min().item(), probabilities.max().item()
            kind = "probabilities that sum to 1" if task.over_classes else "probabilities"
            raise DataError(
                f"the teacher's answers, from {low:.3g} to {high:.3g}, are no {kind}",
                where=where,
                hint="set outputs: logits, or leave it out",
            )
        return task.as_output(probabilities)

    return shaped


def _no_probabilities(output: Any, where: str) -> Any:
    """Return answers that count as logits.

    Raises:
        DataError: they are distributions, and none so sure that it could be a one-hot answer.
    """
    if isinstance(output, Tensor) and bool(
        ((output > 0) & (output < 1)).all() and ((output.sum(dim=1) - 1).abs() < ROUNDED).all()
    ):
        raise DataError(
            "the teacher's answers look like probabilities, and count as logits",
            where=where,
            hint="set outputs: probabilities (or outputs: logits, if that is what they are)",
        )
    return output


def build_student(part: ModelPart, student: Student, data: Dataset, task: Task, seed: int) -> Model:
    """Return a student with initial weights from ``seed``, or trained ones, and the task's outputs."""
    model = build_model(part, student.input, data, task.outputs, student.pretrained, seed)
    where = f"student ({student.model})"
    model = with_checkpoint(model, student.checkpoint, where, part.trusted)
    model = with_outputs(model, task.outputs, where, seed)
    wanted = complete(model.input, student.input, data.input)
    return replace(model, classes=data.classes, input=wanted, scale=task.scale, shaped=task.shaped)


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


def build_model(
    part: ModelPart,
    wanted: Input,
    data: Dataset,
    outputs: int,
    pretrained: bool,
    seed: int,
    background: bool = False,
) -> Model:
    """Return the provider's model for the data's input, initialized from the seed."""
    counter_rng.seed_torch("initial weights", seed)
    channels = wanted.channels or data.input.channels or 3
    size = wanted.size or data.input.size or 224
    columns = data.input.columns
    if columns:
        channels, size = data.input.channels or len(columns), 1
    request = ModelRequest(
        part.model,
        channels,
        size,
        outputs,
        pretrained,
        columns,
        trusted=part.trusted,
        background=background,
        trust_code=part.trust_code,
    )
    model: Model = part.create().build(request)
    return model


def with_checkpoint(
    model: Model,
    checkpoint: str | None,
    where: str,
    trusted: frozenset[Path],
    otherwise: Callable[[], Model] | None = None,
) -> Model:
    """Return the model with the weights of a file; ``otherwise`` builds what to take where only that fits."""
    if checkpoint is None:
        return model
    tensors, _ = weights.read(checkpoint, where, trusted=Path(checkpoint).resolve() in trusted)
    if otherwise is not None and not weights.has_shapes(model.module, tensors):
        other = otherwise()
        model = other if weights.has_shapes(other.module, tensors) else model
    head_weight = tensors.get(f"{model.head}.weight")
    if model.head and head_weight is not None and head_weight.dim() >= 2:
        model = with_outputs(model, head_weight.shape[0], where, seed=0)
    weights.load_into(model.module, tensors, f"{where}, {checkpoint}")
    return replace(model, trained=True)


def _files_of(part: ModelPart) -> list[str]:
    """Return the hashes of the files that a model is made of, in the provider's order."""
    files = getattr(part.create(), "files", None)
    return [] if files is None else [_sha256(path) for path in files(part.model)]


def _file_hash(path: str | None, where: str) -> str:
    if path is None:
        return ""
    if not Path(path).is_file():
        raise DataError(
            f"no file {path}",
            where=f"teacher {where!r}: checkpoint" if where else "student: checkpoint",
            hint="a path is taken relative to where mtkd is started",
        )
    return _sha256(Path(path))


def _sha256(path: Path) -> str:
    try:
        return hashing.file_sha256(path)
    except OSError as error:
        raise DataError(
            f"the file cannot be read: {error.strerror}", str(path), "may you read it?"
        ) from error
