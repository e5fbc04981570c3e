"""The samples that a teacher is fitted on, and those that its best weights are selected on."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from mtkd_cli.data.dataset import Dataset, Split, draw_in_proportion, strata
from mtkd_cli.recipe.schema import Data, Fit
from mtkd_cli.training.loop import steps_per_epoch

HELD_OUT_SHARE, MAX_HELD_OUT = 0.1, 500
"""Share and maximum number of labels that are held out from training to select the best weights."""


@dataclass(frozen=True)
class FitSplit:
    """The samples of a fit.

    Attributes:
        train: split with the training samples.
        rows: labeled rows to train on, ``[N]``.
        val: validation split.
        held_out: rows of ``train`` that form ``val``; empty if it is the data's validation split.
    """

    train: Split
    rows: NDArray[np.int64]
    val: Split
    held_out: NDArray[np.int64]

    def steps(self, fit: Fit) -> int:
        """Return the number of optimizer steps, counted as if the held-out samples were trained on too.

        Holding out samples must not reduce the number of steps: few labels already give few steps.
        """
        samples = len(self.rows) + len(self.held_out)
        return fit.epochs * steps_per_epoch(samples, min(fit.batch_size, len(self.rows)))


def create_fit_split(fit: Fit, data: Dataset, options: Data) -> FitSplit:
    """Return the samples that a teacher is fitted and validated on.

    A teacher that sees all labels need not be validated on the few that the student has: a tenth of all
    labels, at most `MAX_HELD_OUT`, is held out from those hidden from the student, if that is more.
    """
    no_rows = np.empty(0, dtype=np.int64)
    if fit.labels == "student":
        return FitSplit(data.train, data.train.labeled, data.val, no_rows)
    all_labels = data.all_labels
    hidden = np.setdiff1d(all_labels.labeled, data.train.labeled)
    count = min(round(HELD_OUT_SHARE * len(all_labels.labeled)), MAX_HELD_OUT, len(hidden))
    if count <= len(data.val.labeled):
        return FitSplit(all_labels, all_labels.labeled, data.val, no_rows)
    groups = strata(all_labels.samples.targets[hidden])
    held_out = np.sort(hidden[draw_in_proportion(groups, count, "fit validation", options.seed)])
    val = replace(all_labels, name="val", samples=all_labels.samples.take(held_out))
    return FitSplit(all_labels, np.setdiff1d(all_labels.labeled, held_out), val, held_out)
