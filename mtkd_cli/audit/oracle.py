"""The score if the right teacher were taken each time: a bound of what choosing among them can reach."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from mtkd_cli.audit.validation_set import Outcome, Panel
from mtkd_cli.report.metric_names import spelt
from mtkd_cli.stats.estimate import Estimate
from mtkd_cli.training.evaluation import batches, measure_pairs


def oracle_of(panel: Panel, alone: Sequence[Outcome]) -> Estimate | str:
    """Return the oracle's score, or why there is none: it is never worse than a teacher.

    Args:
        panel: the teachers.
        alone: what each of them is worth by itself.
    """
    metric = panel.task.primary
    if not panel.task.by_element:
        return f"{spelt(metric.name)} ranks the answers of all samples, so no teacher is right on one of them"
    found = panel.outcome(measure_pairs(_right(panel), panel.task))
    if any(metric.better(outcome.score.value, found.score.value) for outcome in alone):
        return "it is no bound here: a teacher by itself has a better score"
    return found.score.estimate()


def _right(panel: Panel) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield each element's answer by the teacher that is closest to its label, and the labels."""
    task = panel.task
    for rows in batches(panel.rows):
        answers, target = panel.answers(rows), panel.targets(rows)
        error = task.error(answers, target)
        if task.over_classes:  # right with little confidence is right
            error = error + 1e6 * torch.stack([answer.argmax(dim=1) != target for answer in answers])
        for k, known in enumerate(panel.labels(rows)):
            error[k] = error[k].masked_fill(~task.labelled(known), torch.inf)
        best = error.argmin(dim=0)
        stacked = torch.stack(answers)
        shape = (len(best), 1, *task.elements) if task.elements else (-1, *[1] * (stacked.dim() - 2))
        place = best.reshape(shape).expand_as(stacked[0])
        yield stacked.gather(0, place[None])[0], target
