"""Fine-tune a teacher on the recipe's data before distillation: its head, or all layers."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from mtkd_cli.data.dataset import Split
from mtkd_cli.distributed import group
from mtkd_cli.distributed.threads import use_threads
from mtkd_cli.errors import TrainingError
from mtkd_cli.interfaces import Model
from mtkd_cli.models.head import tail_of
from mtkd_cli.models.preprocess import with_preprocessing
from mtkd_cli.recipe.schema import Fit, Train
from mtkd_cli.safe_loading import weights
from mtkd_cli.store import content_store, worker_claims
from mtkd_cli.store.own_key import continue_unfinished
from mtkd_cli.store.shared import fill_once_together
from mtkd_cli.teachers.fit_classes import fit_split_of
from mtkd_cli.teachers.fit_split import FitSplit
from mtkd_cli.teachers.remote_recordings import fetch_fitted, send_fitted
from mtkd_cli.teachers.resolved_teacher import ResolvedTeacher
from mtkd_cli.training.checkpointing import Checkpointer
from mtkd_cli.training.context import Context
from mtkd_cli.training.evaluation import batches, judge, measure, plain_views, validate
from mtkd_cli.training.loop import Evaluation, Step, steps_per_epoch, train
from mtkd_cli.training.objectives import FromLabels
from mtkd_cli.training.out_of_memory import memory_errors
from mtkd_cli.training.step_threads import choose_threads
from mtkd_cli.training.training_data import TrainingData


@dataclass(frozen=True)
class _FitJob:
    """The module that is trained, its data and its validation."""

    module: nn.Module
    data: TrainingData
    evaluate: Callable[[nn.Module], Evaluation]


def fit_teacher(model: Model, teacher: ResolvedTeacher, context: Context, wait: bool = True) -> Model:
    """Return the teacher with fitted weights, trained once and then read from the store.

    ``fit: head`` computes the features of the plain views once and trains the last layer on them. ``fit:
    all`` trains all layers on live views. Both select the best evaluation. Class weights apply to the student
    only: with fitted teachers they would count twice.

    Args:
        model: the loaded teacher.
        teacher: its entry in the recipe and its content key.
        context: context of the run.
        wait: whether to wait for another run or worker that fits it.

    Raises:
        BlockingIOError: another one fits it, and ``wait`` is False.
    """
    fit, fit_key = teacher.entry.fit, teacher.fit_key
    if fit is None or fit_key is None:
        return model
    context = replace(context, task=context.task.without_class_weights())
    chosen = fit_split_of(fit, context)
    steps = chosen.steps(fit)
    fetch_fitted(fit_key, context)
    fitting_once = fill_once_together("fitted", fit_key, wait)
    with context.progress.phase(f"fit {teacher.name}", steps), fitting_once as empty:
        if empty is not None:
            continue_unfinished("fitted", fit_key)
            fitting = (_fit_head if fit.train == "head" else _fit_all)(model, chosen, context)
            checkpointer = Checkpointer(
                content_store.unfinished_folder("fitted", fit_key),
                context.progress.say,
                lambda: worker_claims.require_held(content_store.folder_of("fitted", fit_key)),
            )
            settings, evaluate_every = _train_settings(fit, len(fitting.data))
            threads = choose_threads(
                context, f"fit {teacher.name}", fitting.module, fitting.data, settings.batch_size
            )
            with _fitting_errors(settings), use_threads(threads):
                trained = train(
                    fitting.module,
                    fitting.data,
                    FromLabels(fitting.data),
                    fitting.evaluate,
                    settings,
                    steps,
                    evaluate_every,
                    context.progress,
                    checkpointer,
                )
            best = {name: tensor.cpu() for name, tensor in trained.best.module.state_dict().items()}
            weights.load_into(fitting.module.cpu(), best, "fitted teacher")
            weights.write(empty / "teacher.safetensors", model.module.cpu().state_dict())
            (empty / "curve.json").write_text(json.dumps(trained.curve))
    send_fitted(fit_key, context)
    tensors, _ = weights.read(content_store.folder_of("fitted", fit_key) / "teacher.safetensors")
    weights.load_into(model.module, tensors, f"fitted teacher {teacher.name!r}")
    return replace(model, trained=True)


def _train_settings(fit: Fit, samples: int) -> tuple[Train, int]:
    """Return the settings of a fit, and the number of steps between evaluations."""
    settings = Train(
        epochs=fit.epochs,
        batch_size=min(fit.batch_size, samples),
        lr=(fit.lr,),
        weight_decay=(fit.weight_decay,),
        seed=fit.seed,
    )
    return settings, steps_per_epoch(samples, settings.batch_size)


@contextmanager
def _fitting_errors(settings: Train) -> Iterator[None]:
    """Replace the hints of training errors by keys of ``fit:``."""
    where = f"fitting a teacher, batches of {settings.batch_size}"
    try:
        with memory_errors(where, "lower fit.batch_size, or set fit: head instead of all"):
            yield
    except TrainingError as error:
        raise TrainingError(error.what, f"fitting a teacher, {error.where}", "lower fit.lr") from error


def _fit_all(model: Model, chosen: FitSplit, context: Context) -> _FitJob:
    """Return the fit of all layers, on live views."""

    def evaluate(candidate: nn.Module) -> Evaluation:
        return validate(candidate, context.task, chosen.val, context.data.train, context.device)

    data = context.training_data(chosen.train, chosen.rows, view_count=None)
    return _FitJob(with_preprocessing(model).to(context.device), data, evaluate)


def _fit_head(model: Model, chosen: FitSplit, context: Context) -> _FitJob:
    """Return the fit of the last layer, on the features of the plain views."""
    split, rows, val = chosen.train, chosen.rows, chosen.val
    head = model.module.get_submodule(model.head)
    tail = _Tail(tail_of(model), with_preprocessing(model).to_task_form).to(context.device)
    features = _head_inputs(model, head, split, rows, context)
    val_features = _head_inputs(model, head, val, val.labeled, context)
    index = np.zeros(len(val), dtype=np.int64)  # row in val -> row in val_features
    index[val.labeled] = np.arange(len(val.labeled))

    def evaluate(candidate: nn.Module) -> Evaluation:
        with torch.no_grad():
            measured = measure(lambda rows: candidate(val_features[index[rows]]).cpu(), val, context.task)
        return judge(copy.deepcopy(candidate), measured, context.task)

    plain = context.training_data(split, rows, view_count=1)
    return _FitJob(tail, _FeatureData(**plain.settings(), features=features), evaluate)


@dataclass(frozen=True)
class _FeatureData(TrainingData):
    """Training samples represented by their features.

    Attributes:
        features: input of the head for each sample, ``[N, D]``.
    """

    features: Tensor

    def with_views(self, steps: Iterable[Step]) -> Iterator[Step]:
        """Yield each step with its features."""
        for step in steps:
            yield replace(step, views=self.views(step))

    def views(self, step: Step) -> Tensor:
        """Return the features of a step's samples, ``[B, D]``."""
        return self.features[step.indices]


class _Tail(nn.Module):
    """The head and the layers after it, with outputs in the task's form, like those of the whole model.

    Args:
        layers: module from features ``[B, D]`` to raw outputs ``[B, C]``.
        finish: function from raw outputs to the task's form, see `Prepared.to_task_form`.
    """

    def __init__(self, layers: nn.Module, finish: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.layers = layers
        # a lambda, so that deepcopy of this module does not copy the whole model
        self.finish: Callable[[Tensor], Tensor] = lambda raw: finish(raw)

    def forward(self, features: Tensor) -> Tensor:
        """Return outputs in the task's form, ``[B, C]``."""
        return self.finish(self.layers(features))


def _head_inputs(
    model: Model, head: nn.Module, split: Split, rows: NDArray[np.int64], context: Context
) -> Tensor:
    """Return the input of the head on the plain views of ``rows``, ``[N, D]``; processes share the work."""
    features: list[Tensor] = []
    every_batch = batches(rows)
    hook = head.register_forward_pre_hook(lambda _, inputs: features.append(inputs[0].detach()))
    module = with_preprocessing(model).to(context.device).eval()
    try:
        with torch.no_grad():
            for batch in every_batch[group.own_slice(len(every_batch))]:
                for views in plain_views(split, batch, context.device):
                    module(views)
    finally:
        hook.remove()
    gathered = group.gather([batch.cpu() for batch in features])
    return torch.cat([batch for own in gathered for batch in own]).to(context.device)
