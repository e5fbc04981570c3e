"""Quantization-aware last epochs: train a finished student on recorded answers, rounded as its int8 file.

Esser et al. (ICLR 2020) and Jacob et al. (CVPR 2018) describe the training with rounded values.
"""

from __future__ import annotations

import copy
import functools
import importlib.util
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
from torch import nn

from mtkd_cli.data.subset import sample_rows
from mtkd_cli.distributed.devices import resolve_device
from mtkd_cli.distributed.signals import Interrupted
from mtkd_cli.distributed.threads import use_threads
from mtkd_cli.errors import UsageError
from mtkd_cli.inference.int8 import CALIBRATION_SAMPLES
from mtkd_cli.inference.student import LoadedStudent
from mtkd_cli.models.batchnorm_folding import fold_batchnorm
from mtkd_cli.models.fake_quantization import fake_quantize, measure_ranges
from mtkd_cli.models.preprocess import with_preprocessing
from mtkd_cli.recipe.schema import Train
from mtkd_cli.report import results
from mtkd_cli.report.results import RECIPE
from mtkd_cli.runs.strategy_batches import fit_strategy, make_batches
from mtkd_cli.runs.students import resolve_kd_ratio
from mtkd_cli.runs.view_count import count_views
from mtkd_cli.teachers.distillation_data import distillation_data
from mtkd_cli.teachers.merged_distance import merged_distance
from mtkd_cli.teachers.recorded_teachers import recorded_teachers
from mtkd_cli.training.context import Context
from mtkd_cli.training.evaluation import plain_views
from mtkd_cli.training.loop import steps_per_epoch, train
from mtkd_cli.training.objectives import FromTeachers
from mtkd_cli.training.step_threads import choose_threads
from mtkd_cli.training.strategy import Strategy

PHASE = "qat"
EPOCHS = 5
LR_SHARE = 0.1
"""Peak learning rate, as a share of the one that the student was trained with."""


def train_quantized(student: LoadedStudent, context: Context, epochs: int = EPOCHS) -> nn.Module:
    """Return a copy of a student, trained for more epochs with the roundings of an int8 file.

    BatchNorm is folded into the convolutions before it. Losses, samples and views are those of the run, and
    so is the rule that chooses the epoch, by the rounded student. Losses to features are left out.

    Args:
        student: student of a finished run.
        context: context of that run.
        epochs: number of epochs.

    Raises:
        UsageError: the teachers of the run answer live, or torch is too old.
        DataError: recorded outputs are missing.
        TrainingError: the loss is not finite.
        Interrupted: a signal came; nothing is kept.
    """
    if importlib.util.find_spec("torch.onnx.ops") is None:
        raise UsageError("--int8 qat needs torch 2.8", "--int8 qat", "pip install 'torch>=2.8'")
    views = count_views(context.recipe)
    if views is None:
        raise UsageError(
            "the teachers of this run answer live, so there are no recorded outputs to learn from",
            where="--int8 qat",
            hint="use --int8 static, or train the run with recorded views: views=4",
        )
    loss = context.recipe.loss.model_copy(update={"features": 0.0})
    context = replace(context, recipe=context.recipe.model_copy(update={"loss": loss}))
    teachers = recorded_teachers(context, views, _record_command(student, context))
    strategy = Strategy(context.parts.strategy)
    fit_strategy(strategy, context, teachers)
    data = distillation_data(teachers, views, context)
    batches = make_batches(context, data.split, teachers)
    objective = FromTeachers(data, strategy, batches, loss.temperature, resolve_kd_ratio(context))
    distance = merged_distance(data, strategy, batches, context)
    module = rounded_student(student, context)
    settings = _settings(student, context, epochs, len(data))
    every = steps_per_epoch(len(data), settings.batch_size)
    threads = choose_threads(context, PHASE, module, data, settings.batch_size)
    with context.progress.phase(PHASE, every * epochs), use_threads(threads), _nothing_kept():
        trained = train(
            module,
            data,
            objective,
            functools.partial(context.validate, distance=distance),
            settings,
            every * epochs,
            every,
            context.progress,
        )
    return trained.best.module.cpu()


def rounded_student(student: LoadedStudent, context: Context) -> nn.Module:
    """Return a copy of a student on the device, without BatchNorm, that rounds as its static int8 file."""
    split = context.data.train
    rows = sample_rows(np.arange(len(split)), CALIBRATION_SAMPLES)
    own = replace(student.model, module=copy.deepcopy(student.model.module))
    module = with_preprocessing(own).to(context.device).eval()
    example = next(iter(plain_views(split, rows[:2], context.device)))
    folded, _ = fold_batchnorm(module, example)
    ranges = measure_ranges(folded, plain_views(split, rows, context.device))
    fake_quantize(folded, ranges, float_head=not context.task.logits)
    return folded.requires_grad_(True)


def _record_command(student: LoadedStudent, context: Context) -> str:
    """Return the command that records the outputs of a run as the run did."""
    words = ["mtkd record", str(student.folder / RECIPE)]
    if not context.threads.automatic:
        words.append(f"--threads {context.threads.limit}")
    if context.device.type != resolve_device("auto").type:
        words.append(f"--device {context.device.type}")
    return " ".join(words)


def _settings(student: LoadedStudent, context: Context, epochs: int, samples: int) -> Train:
    """Return the settings of the run with a small learning rate, in float32 and without averaging."""
    own, chosen = context.recipe.train, results.read_report(student.folder).student.chosen
    rate = float(chosen.get("lr") or own.lr[0])
    decay = float(chosen.get("weight_decay") or own.weight_decay[0])
    return own.model_copy(
        update={
            "epochs": epochs,
            "batch_size": min(int(own.batch_size), samples),
            "lr": (rate * LR_SHARE,),
            "weight_decay": (decay,),
            "ema": 0.0,
            "precision": "fp32",
            "compile": False,
        }
    )


@contextmanager
def _nothing_kept() -> Iterator[None]:
    try:
        yield
    except Interrupted:
        raise Interrupted("nothing was written; run the same command again") from None
