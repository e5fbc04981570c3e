"""Find teachers that were probably trained on the samples that the run trains and validates on."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from mtkd_cli.data.dataset import Split
from mtkd_cli.data.subset import sample_rows
from mtkd_cli.data.views import PLAIN
from mtkd_cli.report.metric_names import spelt
from mtkd_cli.stats.estimate import independent_difference
from mtkd_cli.stats.score import score_of
from mtkd_cli.teachers.outputs import ReadyTeacher
from mtkd_cli.training.context import Context
from mtkd_cli.training.evaluation import BATCH

SAMPLES = 1024
"""Maximum number of labeled samples per split."""

MIN_LABELS = 20
"""Minimum number of labeled samples on each side of the comparison."""

LEVEL = 0.99
"""Confidence level: the interval of the difference must exclude zero."""

MIN_DIFFERENCE = 0.05
"""Minimum difference to report: absolute for a score, relative for an error."""


def memorization_warnings(teacher: ReadyTeacher, saw: str | None, context: Context) -> list[str]:
    """Return warnings about labels that a teacher was or may have been trained on, one sentence each.

    Args:
        teacher: a teacher that was not fitted in this run, with its recorded outputs.
        saw: labels it was trained on, as declared in the recipe.
        context: context of the run.
    """
    if saw == "all":
        return ["it saw the test labels: its test score and the ensemble's are not evidence"]
    if saw == "train":
        return []
    data, metric = context.data, context.task.primary
    seen = _statistics(teacher, [data.train, data.val], context)
    unseen = _statistics(teacher, [data.test], context)
    if min(len(seen), len(unseen)) < MIN_LABELS:
        return []
    before, after = (score_of(context.task, each).estimate(LEVEL) for each in (seen, unseen))
    if metric.higher_is_better:
        gap, threshold = independent_difference(before, after), MIN_DIFFERENCE
    else:
        gap, threshold = independent_difference(after, before), MIN_DIFFERENCE * after.value
    if not (gap.low > 0 and gap.value >= threshold):
        return []
    return [
        f"{spelt(metric.name)} {before.value:.3g} on training and validation labels, {after.value:.3g} on "
        "test: it may have been trained on these samples (declare it with saw: train), or the splits differ"
    ]


def _statistics(teacher: ReadyTeacher, splits: Sequence[Split], context: Context) -> Tensor:
    """Return the statistics of a teacher's outputs for labeled samples of some splits, ``[N, S]``."""
    found = []
    for split in splits:
        if not teacher.by_id and (split.name, PLAIN) not in teacher.arrays:
            continue  # live teacher: nothing was recorded
        if not len(split.labeled):
            continue
        rows = sample_rows(split.labeled, SAMPLES)
        for batch in np.array_split(rows, -(-len(rows) // BATCH)):
            output = teacher.recorded_outputs(split.name, PLAIN, batch)
            is_finite = torch.isfinite(output).flatten(1).all(dim=1)
            target = torch.from_numpy(split.samples.targets[batch])
            found.append(context.task.statistics(output[is_finite], target[is_finite]))
    return torch.cat(found)
