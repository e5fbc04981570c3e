"""Pseudo-labels: what the student learns unlabeled samples from where there is no teacher.

They come from label spreading or from the student alone (self-training: Lee, ICML workshop 2013), whichever
predicts the validation labels better by the task's loss. The student then learns them as it would learn one
teacher's outputs at temperature 1, beside the labels.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from mtkd_cli.distributed import group
from mtkd_cli.distributed.devices import to_device
from mtkd_cli.interfaces import AggregationBatch, Merged, Model
from mtkd_cli.interfaces.precision import at_least_float32
from mtkd_cli.models.preprocess import with_preprocessing
from mtkd_cli.runs import label_spreading
from mtkd_cli.runs.students import resolve_kd_ratio
from mtkd_cli.training.context import Context
from mtkd_cli.training.evaluation import batches, copy_to_device, measure, measure_pairs, row_predictor
from mtkd_cli.training.loop import Step
from mtkd_cli.training.objectives import Batches, FromTeachers
from mtkd_cli.training.training_data import TrainingData

MIN_UNLABELED = 64
"""Unlabeled training samples below which pseudo-labels are not worth a training."""
MIN_UNLABELED_SHARE = 0.2
"""The same as a share of the labeled ones."""


@dataclass(frozen=True)
class PseudoLabeledData(TrainingData):
    """Training samples with pseudo-labels, which stand where one teacher's outputs would.

    Attributes:
        pseudo_labels: those of a step's samples, ``[B, C, *]``.
    """

    pseudo_labels: Callable[[Step], Tensor] | None = None

    def teacher_outputs(self, step: Step) -> tuple[Tensor, ...]:
        return () if self.pseudo_labels is None else (self.pseudo_labels(step),)


class OnlyTeacher:
    """A strategy for one teacher."""

    def merge(self, batch: AggregationBatch) -> Merged:
        """Return its outputs."""
        return batch.alone(0)


def are_useful(context: Context) -> bool:
    """Whether enough training samples have no label."""
    train = context.data.train
    unlabeled = len(train) - len(train.labelled)
    return unlabeled >= max(MIN_UNLABELED, MIN_UNLABELED_SHARE * len(train.labelled))


def pseudo_label_key(context: Context) -> dict[str, Any]:
    """Return what decides pseudo-labels besides the student alone."""
    import sklearn

    return {"pseudo_labels": 1, "sklearn": sklearn.__version__, "kd_ratio": resolve_kd_ratio(context)}


def make_pseudo_labels(context: Context, alone: Model) -> tuple[PseudoLabeledData, FromTeachers, str]:
    """Return all training samples with pseudo-labels, the objective, and in words where the labels are from.

    Args:
        context: the run.
        alone: the student that was trained on the labels.
    """
    train = context.data.train
    pseudo_labels, source = _choose_source(context, alone)
    data = PseudoLabeledData(
        **vars(context.training_data(train, torch.arange(len(train)).numpy(), view_count=None)),
        pseudo_labels=pseudo_labels,
    )
    names, declared = ("pseudo-labels",), (None,)
    about = Batches(context.task, train, names, declared, 1.0, context.recipe.train.seed)
    return data, FromTeachers(data, OnlyTeacher(), about, 1.0, resolve_kd_ratio(context)), source


def _choose_source(context: Context, alone: Model) -> tuple[Callable[[Step], Tensor], str]:
    """Return the pseudo-labels that predict validation better, and in words where they are from."""
    val, task = context.data.val, context.task
    module = copy_to_device(with_preprocessing(alone), context.device)
    losses = {"self-training": measure(row_predictor(module, val, context.device), val, task).loss}
    spread: dict[str, Tensor] = {}
    if label_spreading.is_possible(context):
        targets = torch.from_numpy(val.samples.targets)[val.labelled]
        for alpha, (outputs, of_val) in group.broadcast(_spread_once(context)).items():
            name = f"label spreading, alpha {alpha:g}"
            spread[name] = outputs
            losses[name] = measure_pairs([(of_val[val.labelled], targets)], task).loss
    best = min(losses, key=losses.__getitem__)
    others = ", ".join(f"{name} {loss:.4g}" for name, loss in losses.items() if name != best)
    source = f"{best} (validation loss {losses[best]:.4g}" + (f"; {others})" if others else ")")
    return _make_label_function(context, spread.get(best), module), source


def _spread_once(context: Context) -> dict[float, tuple[Tensor, Tensor]]:
    """Return spread labels in the first process; the others take those."""
    return label_spreading.spread_labels(context) if group.is_first() else {}


def _make_label_function(
    context: Context, spread: Tensor | None, module: torch.nn.Module
) -> Callable[[Step], Tensor]:
    """Return the pseudo-labels of a step: spread ones, or else the outputs of a module.

    The module answers plain views, once; where outputs have places, it answers the views of each step.
    """
    if spread is None and context.task.spatial:

        def of_views(step: Step) -> Tensor:
            with torch.no_grad():
                output: Tensor = at_least_float32(module(step.views))
            return output

        return of_views
    train = context.data.train
    if spread is None:
        answer = row_predictor(module, train, context.device)
        spread = torch.cat([answer(rows) for rows in batches(torch.arange(len(train)).numpy())])
    outputs = spread
    return lambda step: to_device(outputs[step.indices], context.device)
