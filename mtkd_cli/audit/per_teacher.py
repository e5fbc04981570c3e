"""Each teacher alone, and each pair of teachers."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from mtkd_cli.audit.sure_findings import with_wrong_classes
from mtkd_cli.audit.validation_set import Outcome, Panel
from mtkd_cli.interfaces import Details
from mtkd_cli.report.audit_result import ClassFacts, PairFacts, TeacherFacts
from mtkd_cli.runs.report_facts import labels_seen
from mtkd_cli.stats.jackknife import difference
from mtkd_cli.stats.score import mean_of
from mtkd_cli.training.evaluation import batches, measure_pairs
from mtkd_cli.training.strategy import mixture

FEWEST = 5
"""Samples of a class that a test of the class needs."""


def outcomes(panel: Panel) -> list[Outcome]:
    """Return the outcome of each teacher alone, on the labels of the classes that it knows."""
    return [panel.outcome(measure_pairs(_scored(panel, k), panel.task)) for k in range(len(panel.teachers))]


def on_every_label(panel: Panel, alone: list[Outcome]) -> list[Outcome]:
    """Return the outcome of each teacher on all labels: wrong on a class that it does not know.

    Args:
        panel: the teachers.
        alone: the outcome of each on the classes that it knows.
    """
    if panel.batches.known is None:
        return alone
    return [panel.outcome(measure_pairs(_whole(panel, k), panel.task)) for k in range(len(panel.teachers))]


def _whole(panel: Panel, teacher: int) -> Iterator[tuple[Tensor, Tensor]]:
    for rows in batches(panel.rows):
        yield from panel.on_frames(mixture(panel.task, panel.batch(rows).alone(teacher)), rows)


def _scored(panel: Panel, teacher: int) -> Iterator[tuple[Tensor, Tensor]]:
    for rows in batches(panel.rows):
        yield from panel.on_frames(panel.only([teacher]).answers(rows)[0], rows, teacher)


def _measure_alone(panel: Panel, teacher: int) -> Iterator[tuple[Tensor, Tensor]]:
    for rows in batches(panel.rows):
        yield panel.only([teacher]).answers(rows)[0], panel.labels(rows)[teacher]


def teachers(panel: Panel, found: list[Outcome], whole: list[Outcome]) -> tuple[TeacherFacts, ...]:
    """Return the facts of each teacher, from its outcomes on known classes and on all labels."""
    wanted, known = panel.context.recipe.teachers, panel.batches.known
    rows, p_wrong = [], []
    for k, (teacher, outcome) in enumerate(zip(panel.teachers, found, strict=True)):
        details = panel.task.details(outcome.measured.statistics)
        classes, p_values = _classes(panel, k, details)
        p_wrong.append(p_values)
        rows.append(
            TeacherFacts(
                teacher.name,
                labels_seen(wanted[k], panel.context),
                outcome.score.estimate(),
                outcome.loss.estimate(),
                outcome.measured.metrics,
                details.reliability,
                classes,
                teacher.calibration,
                None if known is None or known[k].all() else whole[k].score.estimate(),
                details.by_chance,
            )
        )
    return with_wrong_classes(rows, p_wrong)


def _classes(
    panel: Panel, teacher: int, details: Details
) -> tuple[tuple[ClassFacts, ...], list[float | None]]:
    """Return the teacher on each class, and the p values of being wrong on more than half of its samples.

    Both are empty if the task has no metric of classes.
    """
    names, strengths = panel.context.data.classes, next(iter(details.per_class.values()), ())
    strength = [s if math.isfinite(s) else None for s in strengths] or [None] * len(names)
    if not panel.task.over_classes:
        if len(strengths) != len(names):
            return (), []
        counts = details.counts or [None] * len(names)
        rows = zip(names, counts, strength, strict=True)
        return tuple(ClassFacts(name, count, s, None, None, False) for name, count, s in rows), []
    found = torch.cat(
        [_by_class(panel, output, target) for output, target in _measure_alone(panel, teacher)]
    )  # [N, C, 3]: labels, right predictions and confidence
    facts = []
    for name, value, (count, right, confidence) in zip(
        names, strength, found.sum(dim=0).tolist(), strict=True
    ):
        share, sure = (right / count, confidence / count) if count else (None, None)
        facts.append(ClassFacts(name, int(count), value, share, sure, False))
    return tuple(facts), [_p_mostly_wrong(of_class.numpy()) for of_class in found[..., :2].unbind(dim=1)]


def _by_class(panel: Panel, output: Tensor, target: Tensor) -> Tensor:
    """Return labels, right predictions and confidence of each sample by class of the label, ``[B, C, 3]``."""
    task, classes = panel.task, len(panel.context.data.classes)
    confidence, answer = task.to_averageable(output).max(dim=1)
    mask = task.labeled(target)  # [B, *]
    label = torch.where(mask, target.long(), 0)
    # index of sample and class, [labeled elements]
    index = (torch.arange(len(label)).view(-1, *[1] * (label.dim() - 1)) * classes + label)[mask]
    columns = [torch.ones(len(index)), (answer[mask] == label[mask]).float(), confidence[mask]]
    sums = torch.zeros(len(label) * classes, 3, dtype=torch.float64)
    return sums.index_add_(0, index, torch.stack(columns, dim=1).double()).view(len(label), classes, 3)


def _p_mostly_wrong(found: np.ndarray) -> float | None:
    """Return the p value of being wrong on more than half, from labels and right predictions ``[N, 2]``.

    Exact if each sample has one prediction. The pixels of an image are alike, so images are counted there.
    """
    from scipy.stats import binomtest

    counts, right = found[found[:, 0] > 0].T
    if len(counts) < FEWEST:
        return None
    if counts.max() == 1:
        return float(binomtest(int(right.sum()), len(counts), alternative="less").pvalue)
    share = mean_of(right, counts)
    return difference(0.5 - share.value, -share.without, share.samples).p_positive


def pairs(panel: Panel) -> tuple[PairFacts, ...]:
    """Return the facts on each pair of teachers, on the labels of classes that both know."""
    task, count = panel.task, len(panel.teachers)
    errors: list[Tensor] = []
    same, seen = torch.zeros(count, count), torch.zeros(count, count)
    for rows in batches(panel.rows):
        answers, target = panel.answers(rows), panel.targets(rows)
        known = torch.stack([task.labeled(t) for t in panel.labels(rows)])
        error = torch.where(known, task.error(answers, target), 0).flatten(2) if known.dim() > 2 else None
        if error is None:
            errors.append(task.error(answers, target).masked_fill(~known, torch.nan))
        else:
            errors.append(error.sum(dim=2) / known.flatten(2).sum(dim=2))
        if task.over_classes:
            classes = [answer.argmax(dim=1) for answer in answers]
            for i, j in itertools.combinations(range(count), 2):
                both = known[i] & known[j]
                same[i, j] += ((classes[i] == classes[j]) & both).sum()
                seen[i, j] += both.sum()
    table = torch.cat(errors, dim=1).double().numpy()
    return tuple(
        PairFacts(
            (panel.teachers[i].name, panel.teachers[j].name),
            (same[i, j] / seen[i, j]).item() if seen[i, j] else None,
            _rank_correlation(table[i], table[j]),
        )
        for i, j in itertools.combinations(range(count), 2)
    )


def _rank_correlation(first: np.ndarray, second: np.ndarray) -> float | None:
    """Return Spearman's correlation; None with fewer than three samples, or if one is constant."""
    from scipy.stats import spearmanr

    both = np.isfinite(first) & np.isfinite(second)
    if both.sum() < 3 or np.ptp(first[both]) == 0 or np.ptp(second[both]) == 0:
        return None
    return float(spearmanr(first[both], second[both]).statistic)
