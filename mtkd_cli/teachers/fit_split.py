"""Which samples a teacher is fitted on, and on which its best weights are chosen."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from mtkd_cli.data.dataset import Dataset, Split, draw_in_proportion, strata
from mtkd_cli.recipe.schema import Data, Fit
from mtkd_cli.training.loop import steps_per_epoch

SHARE, MOST = 0.1, 500
"""Share of the labels that the best weights are chosen on, and their largest number: what is held out is not
trained on."""


@dataclass(frozen=True)
class FitSplit:
    """The samples of a fit.

    Attributes:
        train: where the samples are.
        rows: those that are trained on, all labeled.
        val: what is validated on.
        held: rows of ``train`` that ``val`` consists of; empty if it is the data's validation split.
    """

    train: Split
    rows: NDArray[np.int64]
    val: Split
    held: NDArray[np.int64]

    def steps(self, fit: Fit) -> int:
        """Return the optimizer steps of a fit: as many as with the held-out samples too.

        What is held out shall cost samples, not steps: few labels make few steps.
        """
        samples = len(self.rows) + len(self.held)
        return fit.epochs * steps_per_epoch(samples, min(fit.batch_size, len(self.rows)))


def split_of(fit: Fit, data: Dataset, options: Data) -> FitSplit:
    """Return what a teacher is fitted and validated on.

    One that sees every label need not be chosen on the few that the student has: where that is more, a tenth
    of all labels, at most `MOST`, is held out of those that are hidden from the student.
    """
    none = np.empty(0, dtype=np.int64)
    if fit.labels == "student":
        return FitSplit(data.train, data.train.labelled, data.val, none)
    every = data.all_labels
    hidden = np.setdiff1d(every.labelled, data.train.labelled)
    count = min(round(SHARE * len(every.labelled)), MOST, len(hidden))
    if count <= len(data.val.labelled):
        return FitSplit(every, every.labelled, data.val, none)
    groups = strata(every.samples.targets[hidden])
    held = np.sort(hidden[draw_in_proportion(groups, count, "fit validation", options.seed)])
    val = replace(every, name="val", samples=every.samples.take(held))
    return FitSplit(every, np.setdiff1d(every.labelled, held), val, held)
