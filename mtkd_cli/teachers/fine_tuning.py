"""Adapt a teacher to the recipe's data before it teaches: its head, or all of it."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from mtkd_cli.data.dataset import Split
from mtkd_cli.data.views import PLAIN
from mtkd_cli.distributed import group
from mtkd_cli.errors import TrainingError
from mtkd_cli.interfaces import Model
from mtkd_cli.models.head import tail_of
from mtkd_cli.models.preprocess import prepared
from mtkd_cli.recipe.schema import Fit, Train
from mtkd_cli.safe_loading import weights
from mtkd_cli.store import content_store
from mtkd_cli.store.shared import keep_together
from mtkd_cli.teachers.fit_split import FitSplit, split_of
from mtkd_cli.teachers.resolved_teacher import ResolvedTeacher
from mtkd_cli.training.checkpointing import Keeper
from mtkd_cli.training.context import Context
from mtkd_cli.training.evaluation import batches, judge, measure, plain_views, validate
from mtkd_cli.training.loop import Evaluation, Trained, steps_per_epoch, train
from mtkd_cli.training.objectives import FromLabels
from mtkd_cli.training.out_of_memory import memory_errors


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

    def write(folder: Path) -> None:
        keeper = Keeper(content_store.unfinished("fitted", fit_key), context.progress.say)
        train_it = _fit_head if fit.train == "head" else _fit_all
        rows = train_it(model, fit, context, keeper)
        weights.write(folder / "teacher.safetensors", model.module.state_dict())
        (folder / "curve.json").write_text(json.dumps(rows))

    steps = split_of(fit, context.data, context.recipe.data).steps(fit)
    with context.progress.phase(f"fit {teacher.name}", steps):
        folder = keep_together("fitted", fit_key, write)
    tensors, _ = weights.read(folder / "teacher.safetensors")
    weights.load_into(model.module, tensors, f"fitted teacher {teacher.name!r}")
    return replace(model, trained=True)


def _fit_all(model: Model, fit: Fit, context: Context, keeper: Keeper) -> list[dict[str, float]]:
    chosen = split_of(fit, context.data, context.recipe.data)
    split, rows = chosen.train, chosen.rows
    module = prepared(model).to(context.device)

    def number(epoch: int) -> int:
        return epoch + 1

    views = context.views(split, rows, number)
    objective = FromLabels(context.task, context.labels(split, rows, number))

    def evaluate(candidate: nn.Module) -> Evaluation:
        return validate(candidate, context.task, chosen.val, context.data.train, context.device)

    trained = _train(module, chosen, views, objective, evaluate, fit, context, keeper)
    module.cpu()
    weights.load_into(
        module, {k: v.cpu() for k, v in trained.best.module.state_dict().items()}, "fitted teacher"
    )
    return list(trained.curve)


def _fit_head(model: Model, fit: Fit, context: Context, keeper: Keeper) -> list[dict[str, float]]:
    chosen = split_of(fit, context.data, context.recipe.data)
    split, rows, val = chosen.train, chosen.rows, chosen.val
    head = model.module.get_submodule(model.head)
    tail = _Tail(tail_of(model), prepared(model).finished).to(context.device)
    features = _features(model, head, split, rows, context)
    val_features = _features(model, head, val, val.labelled, context)
    labels = context.labels(split, rows, lambda _: PLAIN)
    place = np.zeros(len(val), dtype=np.int64)  # of each sample among the labelled
    place[val.labelled] = np.arange(len(val.labelled))

    def evaluate(candidate: nn.Module) -> Evaluation:
        with torch.no_grad():
            found = measure(lambda part: candidate(val_features[place[part]]).cpu(), val, context.task)
        return judge(copy.deepcopy(candidate), found, context.task)

    trained = _train(
        tail,
        chosen,
        lambda indices, _: features[indices],
        FromLabels(context.task, labels),
        evaluate,
        fit,
        context,
        keeper,
    )
    tail.load_state_dict(trained.best.module.state_dict())
    model.module.cpu()
    return list(trained.curve)


class _Tail(nn.Module):
    """The layers from the head on, with outputs finished as the whole model's are: in the target's units.

    Args:
        layers: features ``[B, D]`` to raw outputs ``[B, C]``.
        finish: raw outputs to the task's form, see `Prepared.finished`.
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
    module = prepared(model).to(context.device).eval()
    try:
        with torch.no_grad():
            for part in parts[group.share(len(parts))]:
                for views in plain_views(split, part, context.device):
                    module(views)
    finally:
        hook.remove()
    everyones = group.everyones([features.cpu() for features in seen])
    return torch.cat([features for mine in everyones for features in mine]).to(context.device)


def _train(
    module: nn.Module,
    chosen: FitSplit,
    views: Callable[[NDArray[np.int64], int], Tensor],
    objective: FromLabels,
    evaluate: Callable[[nn.Module], Evaluation],
    fit: Fit,
    context: Context,
    keeper: Keeper,
) -> Trained:
    samples = len(chosen.rows)
    settings = Train(
        epochs=fit.epochs,
        batch_size=min(fit.batch_size, samples),
        lr=(fit.lr,),
        weight_decay=(fit.weight_decay,),
        seed=fit.seed,
    )
    each = steps_per_epoch(samples, settings.batch_size)
    steps, watcher = chosen.steps(fit), context.progress
    where = f"fitting a teacher, batches of {settings.batch_size}"
    try:
        with memory_errors(where, "lower fit.batch_size, or fit: head instead of all"):
            return train(module, samples, views, objective, evaluate, settings, steps, each, watcher, keeper)
    except TrainingError as error:
        raise TrainingError(error.what, f"fitting a teacher, {error.where}", "lower fit.lr") from error
