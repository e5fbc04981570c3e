"""Build the strategy's input, and fit the strategy to the validation split."""

from __future__ import annotations

import math

import torch

from mtkd_cli.data.dataset import Split
from mtkd_cli.data.subset import sample_rows
from mtkd_cli.data.views import PLAIN
from mtkd_cli.teachers.outputs import ReadyTeacher, known_class_mask
from mtkd_cli.training.context import Context
from mtkd_cli.training.objectives import Batches
from mtkd_cli.training.strategy import Strategy

MAX_VALUES = 2**27
"""Maximum number of values of all teachers' outputs that a strategy is fitted to."""


def fit_strategy(strategy: Strategy, context: Context, teachers: list[ReadyTeacher]) -> None:
    """Fit a strategy to the labeled validation samples, if its spec needs it."""
    val = context.data.val
    rows = sample_rows(
        val.labeled, MAX_VALUES // (len(teachers) * max(1, _max_values_per_sample(teachers, "val")))
    )
    outputs = tuple(teacher.recorded_outputs("val", PLAIN, rows) for teacher in teachers)
    target = torch.from_numpy(val.samples.targets[rows])
    strategy.fit(make_batches(context, val, teachers)(outputs, rows, target))


def _max_values_per_sample(teachers: list[ReadyTeacher], split: str) -> int:
    """Return the number of values of the largest output of one sample."""
    return max(math.prod(teacher.arrays[split, PLAIN].layout.shape) for teacher in teachers)


def make_batches(context: Context, split: Split, teachers: list[ReadyTeacher]) -> Batches:
    """Return a builder of the strategy's input on a split."""
    recipe = context.recipe
    return Batches(
        context.task,
        split,
        tuple(t.name for t in teachers),
        tuple(t.entry.weight for t in teachers),
        recipe.loss.temperature,
        recipe.train.seed,
        known_class_mask(teachers),
        gaps=recipe.store.on_nan == "drop",
    )
