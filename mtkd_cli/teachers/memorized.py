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
from mtkd_cli.stats.estimate import independent
from mtkd_cli.stats.score import score_of
from mtkd_cli.teachers.outputs import ReadyTeacher
from mtkd_cli.training.context import Context
from mtkd_cli.training.evaluation import BATCH

SAMPLES = 1024
"""Labeled samples of each split that are looked at, at most."""

FEWEST = 20
"""Labeled samples of either side below which nothing is said."""

LEVEL = 0.99
"""Of the interval of the difference, which must leave out zero."""

LARGE = 0.05
"""Difference that is reported: absolute of a score, a share of an error."""


def warnings_of(teacher: ReadyTeacher, saw: str | None, context: Context) -> list[str]:
    """Return what the labels that a teacher saw mean for its scores, a sentence each.

    Args:
        teacher: one that was not fitted here, with its recorded answers.
        saw: which of the data's labels it saw, as the recipe declares it.
        context: the run.
    """
    if saw == "all":
        return ["it saw the test labels: its test score and the ensemble's are not evidence"]
    if saw == "train":
        return []
    data, metric = context.data, context.task.primary
    seen = _statistics(teacher, [data.train, data.val], context)
    unseen = _statistics(teacher, [data.test], context)
    if min(len(seen), len(unseen)) < FEWEST:
        return []
    before, after = (score_of(context.task, each).estimate(LEVEL) for each in (seen, unseen))
    gap = independent(before, after) if metric.higher_is_better else independent(after, before)
    if not (gap.low > 0 and gap.value >= (LARGE if metric.higher_is_better else LARGE * after.value)):
        return []
    return [
        f"{spelt(metric.name)} {before.value:.3g} on training and validation labels, {after.value:.3g} on "
        "test: it may have been trained on these samples (declare it with saw: train), or the splits differ"
    ]


def _statistics(teacher: ReadyTeacher, splits: Sequence[Split], context: Context) -> Tensor:
    """Return the statistics of a teacher's answers to the labeled samples of some splits, ``[N, S]``."""
    found = []
    for split in splits:
        if not teacher.by_id and (split.name, PLAIN) not in teacher.arrays:
            continue  # asked live: nothing was recorded
        rows = sample_rows(split.labelled, SAMPLES)
        for part in np.array_split(rows, -(-len(rows) // BATCH)):
            output = teacher.recorded(split.name, PLAIN, part)
            kept = torch.isfinite(output).flatten(1).all(dim=1)
            target = torch.from_numpy(split.samples.targets[part])
            found.append(context.task.statistics(output[kept], target[kept]))
    return torch.cat(found)
