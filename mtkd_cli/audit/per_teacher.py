"""Each teacher by itself, and two beside each other."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from mtkd_cli.audit.facts import ClassFacts, PairFacts, TeacherFacts
from mtkd_cli.audit.validation_set import Outcome, Panel
from mtkd_cli.interfaces import Details
from mtkd_cli.runs.report_facts import labels_seen
from mtkd_cli.stats import bootstrap
from mtkd_cli.training.evaluation import batches, measured
from mtkd_cli.training.strategy import mixture

SURE = 0.7
"""Mean confidence from which a teacher that is mostly wrong is called confidently wrong."""
FEWEST = 5
"""Samples of a class under which nothing is said about it."""


def outcomes(panel: Panel) -> list[Outcome]:
    """Return what each teacher alone is worth, on the labels of the classes that it knows."""
    return [panel.outcome(measured(_alone(panel, k), panel.task)) for k in range(len(panel.teachers))]


def on_every_label(panel: Panel, alone: list[Outcome]) -> list[Outcome]:
    """Return what each teacher's answer is worth as a whole: wrong on a class that it does not know.

    Args:
        panel: the teachers.
        alone: what each is worth on the classes that it knows.
    """
    if panel.batches.known is None:
        return alone
    return [panel.outcome(measured(_whole(panel, k), panel.task)) for k in range(len(panel.teachers))]


def _whole(panel: Panel, teacher: int) -> Iterator[tuple[Tensor, Tensor]]:
    for rows in batches(panel.rows):
        yield mixture(panel.task, panel.batch(rows).alone(teacher)), panel.targets(rows)


def _alone(panel: Panel, teacher: int) -> Iterator[tuple[Tensor, Tensor]]:
    for rows in batches(panel.rows):
        yield panel.only([teacher]).answers(rows)[0], panel.labels(rows)[teacher]


def teachers(panel: Panel, found: list[Outcome], whole: list[Outcome]) -> tuple[TeacherFacts, ...]:
    """Return the facts of each teacher, measured on classes that it knows and on every label."""
    wanted, known = panel.context.recipe.teachers, panel.batches.known
    rows = []
    for k, (teacher, outcome) in enumerate(zip(panel.teachers, found, strict=True)):
        details = panel.task.details(outcome.measured.statistics)
        rows.append(
            TeacherFacts(
                teacher.name,
                labels_seen(wanted[k], panel.context),
                bootstrap.estimate(*outcome.score),
                bootstrap.estimate(*outcome.loss),
                outcome.measured.metrics,
                details.reliability,
                _classes(panel, k, details),
                teacher.calibration.as_dict() if teacher.calibration else None,
                None if known is None or known[k].all() else bootstrap.estimate(*whole[k].score),
            )
        )
    return tuple(rows)


def _classes(panel: Panel, teacher: int, details: Details) -> tuple[ClassFacts, ...]:
    """Return the teacher on each class; nothing where the task has no measure of a class."""
    names, strengths = panel.context.data.classes, next(iter(details.per_class.values()), ())
    strength = [s if math.isfinite(s) else None for s in strengths] or [None] * len(names)
    if not panel.task.over_classes:
        if len(strengths) != len(names):
            return ()
        counts = details.counts or [None] * len(names)
        rows = zip(names, counts, strength, strict=True)
        return tuple(ClassFacts(name, count, s, None, None, False) for name, count, s in rows)
    sums = torch.zeros(len(names), 3, dtype=torch.float64)
    for output, target in _alone(panel, teacher):
        confidence, answer = panel.task.averageable(output).max(dim=1)
        there = panel.task.labelled(target)
        label = target[there].long()
        columns = [torch.ones(len(label)), (answer[there] == label).float(), confidence[there]]
        sums.index_add_(0, label, torch.stack(columns, dim=1).double())
    found = []
    for name, value, (count, right, confidence) in zip(names, strength, sums.tolist(), strict=True):
        share, sure = (right / count, confidence / count) if count else (None, None)
        wrong = bool(count >= FEWEST and _mostly_wrong(int(right), int(count)) and confidence / count >= SURE)
        found.append(ClassFacts(name, int(count), value, share, sure, wrong))
    return tuple(found)


def _mostly_wrong(right: int, count: int) -> bool:
    """Whether Wilson's 95 % interval of the share of right answers ends below one half."""
    from scipy.stats import binomtest

    return bool(binomtest(right, count).proportion_ci(method="wilson").high < 0.5)


def pairs(panel: Panel) -> tuple[PairFacts, ...]:
    """Return every two teachers beside each other, on the labels of classes that both know."""
    task, count = panel.task, len(panel.teachers)
    errors: list[Tensor] = []
    same, seen = torch.zeros(count, count), torch.zeros(count, count)
    for rows in batches(panel.rows):
        answers, target = panel.answers(rows), panel.targets(rows)
        known = torch.stack([task.labelled(t) for t in panel.labels(rows)])
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
    """Return Spearman's correlation; None with fewer than three samples, or if one never varies."""
    from scipy.stats import spearmanr

    both = np.isfinite(first) & np.isfinite(second)
    if both.sum() < 3 or np.ptp(first[both]) == 0 or np.ptp(second[both]) == 0:
        return None
    return float(spearmanr(first[both], second[both]).statistic)
