"""The score of the right teacher for each sample: an upper bound of choosing among teachers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from mtkd_cli.audit.validation_set import Outcome, Panel
from mtkd_cli.report.metric_names import spelt
from mtkd_cli.stats.estimate import Estimate
from mtkd_cli.training.evaluation import batches, measure_pairs


def oracle_of(panel: Panel, alone: Sequence[Outcome]) -> Estimate | str:
    """Return the oracle's score, or why it is undefined: it is never worse than a teacher.

    Args:
        panel: the teachers.
        alone: the outcome of each.
    """
    metric = panel.task.primary
    if not panel.task.by_element:
        return f"{spelt(metric.name)} ranks the predictions of all samples together"
    found = panel.outcome(measure_pairs(_right(panel), panel.task))
    if any(metric.is_better(outcome.score.value, found.score.value) for outcome in alone):
        return "a teacher alone has a better score"
    return found.score.estimate()


def _right(panel: Panel) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield the output of the teacher that is closest to the label, per element, and the labels."""
    task = panel.task
    for rows in batches(panel.rows):
        outputs, target = panel.answers(rows), panel.targets(rows)
        error = task.error(outputs, target)  # [K, B, *]
        if task.over_classes:  # a right prediction of low confidence is right
            error = error + 1e6 * torch.stack([output.argmax(dim=1) != target for output in outputs])
        for k, known in enumerate(panel.labels(rows)):
            error[k] = error[k].masked_fill(~task.labeled(known), torch.inf)
        best = error.argmin(dim=0)  # [B, *]
        stacked = torch.stack(outputs)  # [K, B, C, *]
        shape = (len(best), 1, *task.elements) if task.elements else (-1, *[1] * (stacked.dim() - 2))
        # [B, *] -> [B, C, *]
        index = best.reshape(shape).expand_as(stacked[0])
        yield from panel.on_frames(stacked.gather(0, index[None])[0], rows)
