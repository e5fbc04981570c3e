"""Load the models of a recipe: build, fill with weights, put the right head on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from mtkd_cli import counter_rng
from mtkd_cli.data.dataset import Dataset
from mtkd_cli.interfaces import Model, ModelRequest, Task
from mtkd_cli.models.head import with_outputs
from mtkd_cli.models.preprocess import complete
from mtkd_cli.recipe.resolve import ModelPart
from mtkd_cli.recipe.schema import Input, Student
from mtkd_cli.safe_loading import weights


def build_student(part: ModelPart, student: Student, data: Dataset, task: Task, seed: int) -> Model:
    """Return a student with initial weights from ``seed``, or trained ones, and the task's outputs."""
    model = build_model(part, student.input, data, task.outputs, student.pretrained, seed)
    where = f"student ({student.model})"
    model = with_checkpoint(model, student.checkpoint, where, part.trusted)
    model = with_outputs(model, task.outputs, where, seed)
    wanted = complete(model.input, student.input, data.input)
    return replace(model, classes=data.classes, input=wanted, scale=task.scale, shaped=task.shaped)


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
