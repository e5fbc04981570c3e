"""The module that computes a teacher's outputs while they are recorded: faster, the same up to rounding."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from mtkd_cli.errors import DataError, UsageError
from mtkd_cli.interfaces import Model
from mtkd_cli.models.batchnorm_folding import fold_batchnorm
from mtkd_cli.models.onnx_module import to_onnx_module
from mtkd_cli.models.onnx_program import require_packages
from mtkd_cli.models.preprocess import prepare, with_preprocessing
from mtkd_cli.teachers.probe import sample_views
from mtkd_cli.training.context import Context


def recording_module(model: Model, name: str, context: Context) -> nn.Module:
    """Return a teacher for recording, in the runtime of the recipe, or in torch if it cannot be converted.

    Args:
        model: the teacher.
        name: teacher name, used in messages.
        context: context of the run.

    Raises:
        UsageError: see `require_runtime`.
    """
    example, progress = sample_views(context.data.example), context.progress
    require_runtime(context)
    if context.recipe.store.runtime == "onnx":
        progress.say(f"teacher {name}: converting it to ONNX")
        try:
            module, difference = in_onnx_runtime(model, example)
        except DataError as error:
            progress.say(f"teacher {name}: recorded without conversion to ONNX: {error.what}")
        else:
            change = "ONNX Runtime changed its raw outputs"
            progress.events.line_logged(f"teacher {name}: {change} by at most {difference:.2e}")
            return module
    module, difference = in_torch(model, example, context.device)
    if difference:
        change = "folding BatchNorm changed its outputs"
        progress.events.line_logged(f"teacher {name}: {change} by at most {difference:.2e}")
    return module


def require_runtime(context: Context) -> None:
    """Raise if teachers cannot be recorded in the runtime of the recipe.

    Raises:
        UsageError: a package is missing, or the device is not the CPU.
    """
    if context.recipe.store.runtime != "onnx":
        return
    require_packages("store.runtime: onnx")
    if context.device.type != "cpu":
        raise UsageError(
            f"ONNX Runtime records on the CPU, not on {context.device.type}",
            where="store.runtime: onnx",
            hint="remove store.runtime, or record with --device cpu",
        )


def in_torch(model: Model, example: Tensor, device: torch.device) -> tuple[nn.Module, float]:
    """Return the frozen teacher with folded BatchNorm, and its largest difference to the original."""
    module = with_preprocessing(model).to(device).eval().requires_grad_(False)
    folded, difference = fold_batchnorm(module, example.to(device))
    if model.channels_last:
        folded = folded.to(memory_format=torch.channels_last)
    return folded, difference


def in_onnx_runtime(model: Model, example: Tensor) -> tuple[nn.Module, float]:
    """Return the frozen teacher in ONNX Runtime, and the largest difference of its raw outputs.

    Preprocessing stays in torch.

    Raises:
        DataError: it cannot be converted, see `to_onnx_module`.
    """
    prepared = with_preprocessing(model).eval().requires_grad_(False)
    plain = prepared.module.to(memory_format=torch.contiguous_format)
    with torch.no_grad():
        inputs = prepare(example, prepared.spec)
    prepared.module, difference = to_onnx_module(plain, inputs)
    return prepared, difference
