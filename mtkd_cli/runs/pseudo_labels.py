"""Pseudo-labels: targets for unlabeled samples without teachers.

They come from label spreading or from the student alone (self-training: Lee, ICML workshop 2013), whichever
has the lower loss on validation. The student learns them like the outputs of one teacher at temperature 1, in
addition to the labels.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
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
"""Minimum number of unlabeled training samples; fewer are not worth a training."""
MIN_UNLABELED_SHARE = 0.2
"""Minimum number of unlabeled training samples, as a share of the labeled ones."""


@dataclass(frozen=True)
class PseudoLabeledData(TrainingData):
    """Training samples with pseudo-labels in place of the outputs of one teacher.

    Attributes:
        pseudo_labels: function from a step to the pseudo-labels of its samples, ``[B, C, *]``.
    """

    pseudo_labels: Callable[[Step], Tensor] | None = None

    def teacher_outputs(self, step: Step) -> tuple[Tensor, ...]:
        if self.pseudo_labels is None:
            return ()
        own, partners = self.pseudo_labels(step), self.partners(step)
        if partners is None or self.task.spatial:  # predicted from the views
            return (own,)
        others = self.pseudo_labels(replace(step, indices=partners))
        share = self.own_share(step)
        return (self.task.mix(Merged((own, others), torch.stack([share, 1 - share]))),)


class OnlyTeacher:
    """A strategy for one teacher."""

    per_sample, weighs = False, True

    def merge(self, batch: AggregationBatch) -> Merged:
        """Return its outputs."""
        return batch.alone(0)


def are_useful(context: Context) -> bool:
    """Whether there are enough training samples without a label."""
    train = context.data.train
    unlabeled = len(train) - len(train.labeled)
    return unlabeled >= max(MIN_UNLABELED, MIN_UNLABELED_SHARE * len(train.labeled))


def pseudo_label_key(context: Context) -> dict[str, Any]:
    """Return everything that pseudo-labels depend on, besides the student alone."""
    import sklearn

    return {"pseudo_labels": 1, "sklearn": sklearn.__version__, "kd_ratio": resolve_kd_ratio(context)}


def make_pseudo_labels(context: Context, alone: Model) -> tuple[PseudoLabeledData, FromTeachers, str]:
    """Return all training samples with pseudo-labels, the objective, and the source of the labels in words.

    Args:
        context: the run.
        alone: the student trained on the labels only.
    """
    train = context.data.train
    pseudo_labels, source = _choose_source(context, alone)
    data = PseudoLabeledData(
        **context.training_data(train, torch.arange(len(train)).numpy(), view_count=None).settings(),
        pseudo_labels=pseudo_labels,
    )
    names, declared = ("pseudo-labels",), (None,)
    about = Batches(context.task, train, names, declared, 1.0, context.recipe.train.seed)
    return data, FromTeachers(data, OnlyTeacher(), about, 1.0, resolve_kd_ratio(context)), source


def _choose_source(context: Context, alone: Model) -> tuple[Callable[[Step], Tensor], str]:
    """Return the pseudo-labels with the lowest validation loss, and their source in words."""
    val, task = context.data.val, context.task
    module = copy_to_device(with_preprocessing(alone), context.device)
    losses = {"self-training": measure(row_predictor(module, val, context.device), val, task).loss}
    spread: dict[str, Tensor] = {}
    if label_spreading.is_possible(context):
        targets = torch.from_numpy(val.samples.targets)[val.labeled]
        for alpha, (outputs, val_outputs) in group.broadcast(_spread_once(context)).items():
            name = f"label spreading, alpha {alpha:g}"
            spread[name] = outputs
            losses[name] = measure_pairs([(val_outputs[val.labeled], targets)], task).loss
    best = min(losses, key=losses.__getitem__)
    others = ", ".join(f"{name} {loss:.4g}" for name, loss in losses.items() if name != best)
    source = f"{best} (validation loss {losses[best]:.4g}" + (f"; {others})" if others else ")")
    return _make_label_function(context, spread.get(best), module), source


def _spread_once(context: Context) -> dict[float, tuple[Tensor, Tensor]]:
    """Return spread labels in the first process, nothing in the others."""
    return label_spreading.spread_labels(context) if group.is_first() else {}


def _make_label_function(
    context: Context, spread: Tensor | None, module: torch.nn.Module
) -> Callable[[Step], Tensor]:
    """Return a function from a step to its pseudo-labels: spread labels, or else outputs of a module.

    The module runs once, on plain views. In spatial tasks, it runs on the views of each step.

    Args:
        context: the run.
        spread: spread log-probabilities ``[N, C]``; None for self-training.
        module: the student alone, with preprocessing.
    """
    if spread is None and context.task.spatial:

        def predict_views(step: Step) -> Tensor:
            with torch.no_grad():
                output: Tensor = at_least_float32(module(step.views))
            return output

        return predict_views
    train = context.data.train
    if spread is None:
        predict = row_predictor(module, train, context.device)
        # list of [B, C] -> [N, C]
        spread = torch.cat([predict(rows) for rows in batches(torch.arange(len(train)).numpy())])
    outputs = spread
    return lambda step: to_device(outputs[step.indices], context.device)
