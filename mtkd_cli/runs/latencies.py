"""Measure the latency of a run's student and of its teachers, all in the same way."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import ValidationError
from torch import nn

from mtkd_cli.data.dataset import Dataset
from mtkd_cli.data.subset import sample_rows
from mtkd_cli.errors import MtkdError, first_line
from mtkd_cli.inference.export import needs_single_samples
from mtkd_cli.inference.student import LoadedStudent
from mtkd_cli.models import onnx_program
from mtkd_cli.models.latency import BATCHES, measure_onnx, measure_pytorch
from mtkd_cli.models.onnx_program import Shippable
from mtkd_cli.models.preprocess import with_preprocessing
from mtkd_cli.plugin.registry import load_registry
from mtkd_cli.recipe.resolve import find_model
from mtkd_cli.recipe.schema import Recipe
from mtkd_cli.report import results
from mtkd_cli.report.latency import Latency
from mtkd_cli.safe_loading.local_code import PREFIX
from mtkd_cli.teachers.load import load_teacher


@dataclass(frozen=True)
class ModelLatencies:
    """Latencies of a model.

    Attributes:
        model: ``student``, or ``teacher NAME``.
        latencies: what was measured.
        notes: what could not be measured, and why.
    """

    model: str
    latencies: tuple[Latency, ...] = ()
    notes: tuple[str, ...] = ()


def measure_run(student: LoadedStudent, data: Dataset, device: torch.device) -> list[ModelLatencies]:
    """Return the latencies of a run's student and of the teachers of its recipe.

    Each model is built with its preprocessing, from the bytes of an image (or the row of a table) to its
    outputs. Fitted teachers are measured before they are fitted: their layers are the same. Teachers that
    are local code are not measured.

    Args:
        student: student of the run.
        data: data with the samples to measure on.
        device: device of eager PyTorch.
    """
    inputs = example_inputs(data)
    single = needs_single_samples(student)
    found = [measure_model("student", Shippable(student.module), inputs, device, single)]
    return [*found, *_measure_teachers(student, data, inputs, device, single)]


def example_inputs(data: Dataset) -> NDArray[np.generic]:
    """Return a few samples as an exported file takes them: uint8 images, or rows in float64."""
    split = data.example
    inputs = split.samples.read(sample_rows(np.arange(len(split)), max(BATCHES)))
    return inputs.astype(np.float64) if inputs.ndim == 2 else inputs


def measure_model(
    name: str,
    module: nn.Module,
    inputs: NDArray[np.generic],
    device: torch.device,
    single: bool,
    batches: Sequence[int] = BATCHES,
) -> ModelLatencies:
    """Return the latencies of a model in eager PyTorch and, where it can be exported, in ONNX Runtime.

    Args:
        name: name of the model.
        module: module from inputs to outputs.
        inputs: samples ``[N, ...]``.
        device: device of eager PyTorch.
        single: whether an ONNX file of the model takes one sample at a time.
        batches: numbers of samples in a call.
    """
    module = module.eval()
    latencies = measure_pytorch(module, inputs, device, batches)
    if missing := onnx_program.missing_packages():
        note = f"{name}: not measured in ONNX Runtime; {', '.join(missing)} missing: pip install 'mtkd[onnx]'"
        return ModelLatencies(name, tuple(latencies), (note,))
    try:
        content = onnx_program.content_of(module, repeat_few(inputs), single)
        latencies += measure_onnx(content, inputs, batches)
    except Exception as error:  # an exporter may raise anything
        note = f"{name}: not measured in ONNX Runtime; it cannot be exported: {first_line(error)}"
        return ModelLatencies(name, tuple(latencies), (note,))
    return ModelLatencies(name, tuple(latencies))


def repeat_few(inputs: NDArray[np.generic]) -> NDArray[np.generic]:
    """Return three samples, as the exporter needs to see that the batch size varies."""
    return inputs[np.arange(3) % len(inputs)]


def _measure_teachers(
    student: LoadedStudent,
    data: Dataset,
    inputs: NDArray[np.generic],
    device: torch.device,
    single: bool,
) -> Iterator[ModelLatencies]:
    try:
        recipe = Recipe.model_validate(results.read_recipe(student.folder))
    except (MtkdError, ValidationError):
        yield ModelLatencies("teachers", notes=("teachers: not measured; the folder has no recipe",))
        return
    for entry in recipe.teachers:
        name = f"teacher {entry.name}"
        if entry.model.startswith(PREFIX):
            yield ModelLatencies(name, notes=(f"{name}: not measured; it is local code",))
            continue
        try:
            part = find_model(entry.model, load_registry(), str(student.folder))
            model = load_teacher(part, entry, data, student.task)
            if model.predictions is not None:
                yield ModelLatencies(name, notes=(f"{name}: not measured; its outputs are in a file",))
                continue
            # without the checks of a teacher's outputs, which cannot be exported
            model = replace(model, to_task_shape=student.task.to_task_shape)
            yield measure_model(name, Shippable(with_preprocessing(model)), inputs, device, single)
        except MtkdError as error:
            yield ModelLatencies(name, notes=(f"{name}: not measured; {error.what}",))
