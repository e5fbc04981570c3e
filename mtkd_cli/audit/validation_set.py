"""The teachers' recorded outputs on the labeled validation samples, and the outcome of an ensemble."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mtkd_cli.data.views import PLAIN
from mtkd_cli.interfaces import AggregationBatch, Task
from mtkd_cli.recipe.resolve import Part
from mtkd_cli.runs.strategy_batches import make_batches
from mtkd_cli.stats.estimate import Difference
from mtkd_cli.stats.score import Score, mean_of, score_of
from mtkd_cli.teachers.outputs import ReadyTeacher
from mtkd_cli.training.context import Context
from mtkd_cli.training.evaluation import Measured, batches, measure_pairs, on_frames
from mtkd_cli.training.loop import Step
from mtkd_cli.training.objectives import Batches
from mtkd_cli.training.strategy import Strategy, mixture

CHUNKS = 16
"""Minimum number of batches of a fold: a strategy that draws teachers draws for each batch."""


@dataclass(frozen=True)
class Outcome:
    """Scores of an ensemble or a teacher, with what their intervals need.

    Attributes:
        measured: on the samples themselves.
        score: the primary metric.
        loss: the evaluation loss.
        weights: mean weight of each teacher; empty if the strategy has no weights.
    """

    measured: Measured
    score: Score
    loss: Score
    weights: tuple[float, ...] = ()

    def gain_over(self, other: Outcome, higher_is_better: bool) -> Difference:
        """Return the gain in score over another outcome; positive is better."""
        return self.score.minus(other.score) if higher_is_better else other.score.minus(self.score)

    def loss_gain_over(self, other: Outcome) -> Difference:
        """Return the gain in loss over another outcome; positive is a lower loss."""
        return other.loss.minus(self.loss)


@dataclass(frozen=True)
class Panel:
    """K teachers on the N labeled validation samples.

    Attributes:
        rows: the samples, in the order of all measurements.
    """

    context: Context
    teachers: tuple[ReadyTeacher, ...]
    batches: Batches
    rows: NDArray[np.int64]

    @property
    def task(self) -> Task:
        """The recipe's task."""
        return self.context.task

    def only(self, chosen: Sequence[int]) -> Panel:
        """Return the panel with some of the teachers."""
        about = self.batches
        known = None if about.known is None else about.known[list(chosen)]
        fewer = replace(
            about,
            names=tuple(about.names[k] for k in chosen),
            declared=tuple(about.declared[k] for k in chosen),
            known=None if known is None or known.all() else known,
        )
        return replace(self, teachers=tuple(self.teachers[k] for k in chosen), batches=fewer)

    def answers(self, rows: NDArray[np.int64]) -> tuple[Tensor, ...]:
        """Return each teacher's outputs on some samples, K of ``[B, C, *]``."""
        return tuple(teacher.recorded_outputs("val", PLAIN, rows) for teacher in self.teachers)

    def targets(self, rows: NDArray[np.int64]) -> Tensor:
        """Return the labels of some samples."""
        return torch.from_numpy(self.context.data.val.samples.targets[rows])

    def on_frames(
        self, output: Tensor, rows: NDArray[np.int64], teacher: int | None = None
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield outputs and labels on the original images, see `mtkd_cli.training.evaluation.on_frames`.

        Args:
            output: outputs of the samples.
            rows: the samples.
            teacher: only labels of classes that this teacher knows; None: all.
        """
        val, known = self.context.data.val, self.batches.known
        if teacher is None or known is None:
            return on_frames(output, self.targets(rows), rows, val, self.task)
        return on_frames(
            output,
            self.labels(rows)[teacher],
            rows,
            val,
            self.task,
            lambda labels: self.task.remove_unknown_labels(labels, known[teacher]),
        )

    def labels(self, rows: NDArray[np.int64]) -> tuple[Tensor, ...]:
        """Return the labels of some samples for each teacher, only of classes that it knows."""
        target, known = self.targets(rows), self.batches.known
        if known is None:
            return (target,) * len(self.teachers)
        return tuple(self.task.remove_unknown_labels(target, each) for each in known)

    def batch(self, rows: NDArray[np.int64], number: int = 0, labels: bool = True) -> AggregationBatch:
        """Return the input of a strategy for some samples, as at the end of a run."""
        step = Step(number, 0, 1.0, rows, torch.empty(0))
        return self.batches(self.answers(rows), rows, self.targets(rows) if labels else None, step=step)

    def outcome(self, found: Measured, weights: tuple[float, ...] = ()) -> Outcome:
        """Return the outcome of a measurement."""
        losses, counts = found.losses.double().numpy(), found.counts.double().numpy()
        return Outcome(found, score_of(self.task, found.statistics), mean_of(losses, counts), weights)


def panel_of(context: Context, teachers: list[ReadyTeacher]) -> Panel:
    """Return the panel of a recipe's teachers."""
    val = context.data.val
    return Panel(context, tuple(teachers), make_batches(context, val, teachers), val.labeled)


def ensemble(panel: Panel, part: Part, folds: Sequence[NDArray[np.int64]]) -> Outcome:
    """Return the outcome of a strategy on samples whose labels it does not see.

    A strategy that is fitted on validation is fitted on the other folds each time.

    Args:
        panel: the teachers.
        part: the strategy.
        folds: positions in ``panel.rows`` that are held out in turn, ascending, together all of them.

    Raises:
        MtkdError: the strategy does not support these teachers, or fails.
    """
    is_fitted = "validation" in part.spec.needs
    positions: list[NDArray[np.int64]] = []
    weights: list[Tensor] = []

    def merged() -> Iterator[tuple[Tensor, Tensor]]:
        for held in folds if is_fitted else [np.arange(len(panel.rows))]:
            strategy = Strategy(part)
            strategy.require_full_outputs(panel.batches.known)
            if is_fitted:
                strategy.fit(panel.batch(np.delete(panel.rows, held)))
            for chunk in np.array_split(held, max(len(batches(held)), min(CHUNKS, len(held)))):
                rows = panel.rows[chunk]
                answer = strategy.merge(panel.batch(rows, len(positions), labels=False))
                positions.append(chunk)
                if answer.weights is not None:
                    weights.append(
                        answer.weights.flatten(2).mean(dim=2) if answer.weights.dim() > 2 else answer.weights
                    )
                yield from panel.on_frames(mixture(panel.task, answer), rows)

    with torch.no_grad():
        found = measure_pairs(merged(), panel.task)
    order = torch.from_numpy(np.argsort(np.concatenate(positions)))
    in_order = Measured(found.statistics[order], found.metrics, found.losses[order], found.counts[order])
    mean = tuple(torch.cat(weights, dim=1).mean(dim=1).tolist()) if weights else ()
    return panel.outcome(in_order, mean)
