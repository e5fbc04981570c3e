"""Outcomes and facts of an audit, made by hand."""

from __future__ import annotations

import numpy as np
import torch

from mtkd_cli.audit.validation_set import Outcome
from mtkd_cli.report.audit_result import Audit, ClassFacts, PairFacts, TeacherFacts
from mtkd_cli.stats.estimate import Estimate
from mtkd_cli.stats.score import Score
from mtkd_cli.training.evaluation import Measured

ONE = Estimate(1.0, 1.0, 1.0)
NOISE = np.random.default_rng(0).normal(0, 1, 200)


def outcome(score: float, loss: float, weights: tuple[float, ...] = (), noise: float = 0.0) -> Outcome:
    """Return an outcome whose numbers have such a standard error."""
    measured = Measured(torch.zeros(1, 1), {}, torch.tensor([loss]), torch.ones(1))
    influence = noise * NOISE / len(NOISE) ** 0.5
    scores = (Score(score, len(NOISE), score - influence), Score(loss, len(NOISE), loss + influence))
    return Outcome(measured, *scores, weights)


def teacher(name: str, *classes: ClassFacts) -> TeacherFacts:
    return TeacherFacts(name, "all", ONE, ONE, {}, (), classes)


def audit(
    own: str = "mean",
    use: str = "mean",
    teachers: tuple[TeacherFacts, ...] = (teacher("first"), teacher("second")),
    pairs: tuple[PairFacts, ...] = (),
    alone: str = "",
) -> Audit:
    names = [each.name for each in teachers]
    fit = {"train": "all", "epochs": 20}
    return Audit(
        task="classification",
        metric="accuracy",
        higher_is_better=True,
        samples=100,
        classes=("a", "b", "c", "d"),
        teachers=teachers,
        pairs=pairs,
        oracle=None,
        strategies=(),
        not_measured={},
        left_out=(),
        added=(),
        configured=own,
        recommended=use,
        findings=(),
        best_teacher=names[0],
        reason="no other strategy is clearly better",
        recommended_teacher=alone,
        recipe={
            "data": {"name": "mine"},
            "fit": fit,
            "teachers": [
                {"model": "mlp:8", "name": name, "fit": fit, "weight": None, "input": {"size": None}}
                for name in names
            ],
        },
    )
