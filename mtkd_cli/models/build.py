"""Build the models of a recipe: create the module, load weights, replace the head."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from mtkd_cli import counter_rng
from mtkd_cli.data.dataset import Dataset
from mtkd_cli.interfaces import Model, ModelRequest, Task
from mtkd_cli.models.head import with_outputs
from mtkd_cli.models.preprocess import complete_input
from mtkd_cli.recipe.resolve import ModelPart
from mtkd_cli.recipe.schema import Input, Student
from mtkd_cli.safe_loading import weights
from mtkd_cli.safe_loading.checkpoint_layout import match_names
from mtkd_cli.safe_loading.global_state import keep_global_state


def build_student(part: ModelPart, student: Student, data: Dataset, task: Task, seed: int) -> Model:
    """Return a student with the task's number of outputs.

    Args:
        part: provider and model of the student.
        student: the recipe's ``student``.
        data: data of the run.
        task: task of the run.
        seed: seed of the initial weights, where they are not pretrained or loaded.

    Raises:
        UsageError: the model's head cannot be replaced.
        DataError: the checkpoint does not fit.
    """
    model = build_model(part, student.input, data, task.outputs, student.pretrained, seed)
    where = f"student ({student.model})"
    model = with_checkpoint(model, student.checkpoint, where, part.trusted, key=student.checkpoint_key)
    model = with_outputs(model, task.outputs, where, seed)
    spec = complete_input(model.input, student.input, data.input)
    return replace(
        model, classes=data.classes, input=spec, scale=task.scale, to_task_shape=task.to_task_shape
    )


def build_model(
    part: ModelPart,
    wanted: Input,
    data: Dataset,
    outputs: int,
    pretrained: bool,
    seed: int,
    background: bool = False,
    detector: bool = False,
) -> Model:
    """Return the provider's model for the data's input, with initial weights from ``seed``.

    Args:
        part: provider and model.
        wanted: the recipe's ``input`` of the model.
        data: data of the run.
        outputs: number of outputs to ask for.
        pretrained: whether to ask for pretrained weights.
        seed: seed of the initial weights.
        background: see `ModelRequest.background`.
        detector: see `ModelRequest.detector`.
    """
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
        detector=detector,
    )
    with keep_global_state(f"model {part.model}", draws=True):
        model: Model = part.create().build(request)
    return model


def with_checkpoint(
    model: Model,
    checkpoint: str | None,
    where: str,
    trusted: frozenset[Path],
    otherwise: Callable[[], Model] | None = None,
    key: str | None = None,
) -> Model:
    """Return the model with the weights of a file, and a head of their size.

    Args:
        model: the model to fill.
        checkpoint: path of the weights, or None.
        where: the model, for messages.
        trusted: files that may be unpickled.
        otherwise: builds an alternative model, which is used if only its shapes match the weights.
        key: which of the file's state dicts to use; None chooses.
    """
    if checkpoint is None:
        return model
    found = weights.read_checkpoint(checkpoint, where, Path(checkpoint).resolve() in trusted, key)
    found = match_names(found, model.module.state_dict().keys(), f"{where}, {checkpoint}")
    tensors = found.tensors
    notes = (f"{where}, checkpoint {checkpoint}: {'; '.join(found.notes)}",) if found.notes else ()
    if otherwise is not None and not weights.has_shapes(model.module, tensors):
        other = otherwise()
        model = other if weights.has_shapes(other.module, tensors) else model
    head_weight = tensors.get(f"{model.head}.weight")
    if model.head and head_weight is not None and head_weight.dim() >= 2:
        model = with_outputs(model, head_weight.shape[0], where, seed=0)
    weights.load_into(model.module, tensors, f"{where}, {checkpoint}")
    return replace(model, trained=True, notes=notes)
