"""Adapt a teacher to the recipe's data before it teaches: its head, or all of it."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from mtkd_cli.data.dataset import Split
from mtkd_cli.distributed import group
from mtkd_cli.errors import TrainingError
from mtkd_cli.interfaces import Model
from mtkd_cli.models.head import tail_of
from mtkd_cli.models.preprocess import with_preprocessing
from mtkd_cli.recipe.schema import Fit, Train
from mtkd_cli.safe_loading import weights
from mtkd_cli.store import content_store
from mtkd_cli.store.shared import filling_together
from mtkd_cli.teachers.fit_split import FitSplit, split_of
from mtkd_cli.teachers.resolved_teacher import ResolvedTeacher
from mtkd_cli.training.checkpointing import Checkpointer
from mtkd_cli.training.context import Context
from mtkd_cli.training.evaluation import batches, judge, measure, plain_views, validate
from mtkd_cli.training.loop import Evaluation, Step, steps_per_epoch, train
from mtkd_cli.training.objectives import FromLabels
from mtkd_cli.training.out_of_memory import memory_errors
from mtkd_cli.training.training_data import TrainingData


@dataclass(frozen=True)
class _Fitting:
    """What is trained of a teacher, on what, and how it is validated."""

    module: nn.Module
    data: TrainingData
    evaluate: Callable[[nn.Module], Evaluation]


def fitted(model: Model, teacher: ResolvedTeacher, context: Context) -> Model:
    """Return the teacher with the weights of its fit; trained once, then kept.

    ``fit: head`` computes the frozen features of the plain views once and trains the last layer
    on them. ``fit: all`` trains everything on live views. Both keep the best validation. Class weights
    are left to the student: a teacher that learned them would be shifted by them twice.
    """
    fit, fit_key = teacher.entry.fit, teacher.fit_key
    if fit is None or fit_key is None:
        return model
    context = replace(context, task=context.task.unweighted())
    chosen = split_of(fit, context.data, context.recipe.data)
    steps = chosen.steps(fit)
    with context.progress.phase(f"fit {teacher.name}", steps), filling_together("fitted", fit_key) as empty:
        if empty is not None:
            fitting = (_of_head if fit.train == "head" else _of_all)(model, chosen, context)
            keeper = Checkpointer(content_store.unfinished("fitted", fit_key), context.progress.say)
            settings, each = _settings(fit, len(fitting.data))
            with _errors_of_fitting(settings):
                trained = train(
                    fitting.module,
                    fitting.data,
                    FromLabels(fitting.data),
                    fitting.evaluate,
                    settings,
                    steps,
                    each,
                    context.progress,
                    keeper,
                )
            best = {name: tensor.cpu() for name, tensor in trained.best.module.state_dict().items()}
            weights.load_into(fitting.module.cpu(), best, "fitted teacher")
            weights.write(empty / "teacher.safetensors", model.module.cpu().state_dict())
            (empty / "curve.json").write_text(json.dumps(trained.curve))
    tensors, _ = weights.read(content_store.folder_of("fitted", fit_key) / "teacher.safetensors")
    weights.load_into(model.module, tensors, f"fitted teacher {teacher.name!r}")
    return replace(model, trained=True)


def _settings(fit: Fit, samples: int) -> tuple[Train, int]:
    """Return the settings of a fit, and the steps between evaluations."""
    settings = Train(
        epochs=fit.epochs,
        batch_size=min(fit.batch_size, samples),
        lr=(fit.lr,),
        weight_decay=(fit.weight_decay,),
        seed=fit.seed,
    )
    return settings, steps_per_epoch(samples, settings.batch_size)


@contextmanager
def _errors_of_fitting(settings: Train) -> Iterator[None]:
    """Name the keys of ``fit:`` in errors of the training."""
    where = f"fitting a teacher, batches of {settings.batch_size}"
    try:
        with memory_errors(where, "lower fit.batch_size, or fit: head instead of all"):
            yield
    except TrainingError as error:
        raise TrainingError(error.what, f"fitting a teacher, {error.where}", "lower fit.lr") from error


def _of_all(model: Model, chosen: FitSplit, context: Context) -> _Fitting:
    """Return the fit of everything, on live views."""

    def evaluate(candidate: nn.Module) -> Evaluation:
        return validate(candidate, context.task, chosen.val, context.data.train, context.device)

    data = context.training_data(chosen.train, chosen.rows, view_count=None)
    return _Fitting(with_preprocessing(model).to(context.device), data, evaluate)


def _of_head(model: Model, chosen: FitSplit, context: Context) -> _Fitting:
    """Return the fit of the last layer, on the features of the plain views."""
    split, rows, val = chosen.train, chosen.rows, chosen.val
    head = model.module.get_submodule(model.head)
    tail = _Tail(tail_of(model), with_preprocessing(model).to_task_form).to(context.device)
    features = _features(model, head, split, rows, context)
    val_features = _features(model, head, val, val.labelled, context)
    index = np.zeros(len(val), dtype=np.int64)  # of each sample among the labeled
    index[val.labelled] = np.arange(len(val.labelled))

    def evaluate(candidate: nn.Module) -> Evaluation:
        with torch.no_grad():
            found = measure(lambda part: candidate(val_features[index[part]]).cpu(), val, context.task)
        return judge(copy.deepcopy(candidate), found, context.task)

    plain = context.training_data(split, rows, view_count=1)
    return _Fitting(tail, _FeatureData(**vars(plain), features=features), evaluate)


@dataclass(frozen=True)
class _FeatureData(TrainingData):
    """Training samples seen as their features, ``[N, D]``."""

    features: Tensor

    def views(self, step: Step) -> Tensor:
        """Return the features of a step's samples, ``[B, D]``."""
        return self.features[step.indices]


class _Tail(nn.Module):
    """The layers from the head on, with outputs finished as the whole model's are: in the target's units.

    Args:
        layers: features ``[B, D]`` to raw outputs ``[B, C]``.
        finish: raw outputs to the task's form, see `Prepared.to_task_form`.
    """

    def __init__(self, layers: nn.Module, finish: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.layers = layers
        # a function, so that a copy of this module does not copy the whole model
        self.finish: Callable[[Tensor], Tensor] = lambda raw: finish(raw)

    def forward(self, features: Tensor) -> Tensor:
        """Return the finished outputs, ``[B, C]``."""
        return self.finish(self.layers(features))


def _features(
    model: Model, head: nn.Module, split: Split, rows: NDArray[np.int64], context: Context
) -> Tensor:
    """Return what reaches the head on the plain views of ``rows``; several processes each run some."""
    seen: list[Tensor] = []
    parts = batches(rows)
    hook = head.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].detach()))
    module = with_preprocessing(model).to(context.device).eval()
    try:
        with torch.no_grad():
            for part in parts[group.own_slice(len(parts))]:
                for views in plain_views(split, part, context.device):
                    module(views)
    finally:
        hook.remove()
    everyones = group.gather([features.cpu() for features in seen])
    return torch.cat([features for mine in everyones for features in mine]).to(context.device)
