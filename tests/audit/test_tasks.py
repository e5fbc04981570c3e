"""`mtkd audit` of segmentation, detection and several labels per sample."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mtkd_cli.audit import audit_of, per_teacher
from mtkd_cli.audit.oracle import oracle_of
from mtkd_cli.audit.validation_set import panel_of
from mtkd_cli.plugin.registry import Registry
from mtkd_cli.recipe.resolve import strategies_for
from mtkd_cli.report.audit_page import audit_page
from mtkd_cli.report.audit_result import Audit
from mtkd_cli.stats.estimate import Estimate
from mtkd_cli.teachers.prepare import prepare_teachers
from mtkd_cli.training.context import Context
from tests.fixtures.small_runs import Contexts

SCENES = ("data.scenes=30", "data.test_scenes=10", "data.size=16", "data.labels=24", "data.val=0.5")
MAPS = (*SCENES, "fit.epochs=2", "teachers=[{model: 'unet:8', fit: all}, {model: 'unet:4-4', fit: all}]")
BOXES = (
    *SCENES,
    "data.size=32",
    "fit.epochs=2",
    "teachers=[{model: 'tiny-fcos:16', fit: all}, {model: 'tiny-fcos:8', fit: all}]",
)
SEVERAL = """
task: multilabel
data: {name: digit-scenes, scenes: 30, test_scenes: 10, labels: 24, val: 0.5}
teachers: [{model: "convnet:8", fit: all}, {model: "mlp:16", fit: all}]
strategy: mean
student: mlp:4
fit: {epochs: 2, labels: all}
"""


@pytest.fixture
def audited(context: Contexts, registry: Registry) -> Callable[..., tuple[Audit, Context]]:
    """Audit a recipe under a few strategies."""

    def run(recipe: str, *changes: str) -> tuple[Audit, Context]:
        made = context(*changes, recipe=recipe)
        found = strategies_for(made.recipe.task.name, registry, "test")
        wanted = [part for part in found if part.spec.name in ("mean", "weighted")]
        return audit_of(made, wanted), made

    return run


def labels_of(facts: Audit) -> list[list[int | None]]:
    return [[found.samples for found in teacher.classes] for teacher in facts.teachers]


def test_audit_of_segmentation(audited: Callable[..., Any]) -> None:
    facts, context = audited("digit-scenes-seg", *MAPS)
    assert (facts.metric, facts.samples) == ("miou", 12)
    assert facts.oracle.value >= max(t.score.value for t in facts.teachers)
    masks = context.data.val.samples.targets[context.data.val.labeled]
    counts = np.bincount(masks[masks >= 0], minlength=11).tolist()
    assert labels_of(facts) == [counts, counts]
    assert 0 < facts.pairs[0].agreement <= 1
    assert {s.name for s in facts.strategies} == {"mean", "weighted"}
    assert "mIoU of each teacher" in audit_page(facts, "maps")


def test_audit_of_detection_has_no_oracle(
    audited: Callable[..., Any],
) -> None:
    facts, context = audited("digit-scenes-det", *BOXES)
    assert (facts.metric, facts.samples) == ("map", 12)
    assert facts.oracle is None
    assert facts.not_measured["oracle"].startswith("mAP ranks the predictions of all samples")
    assert "oracle" not in {finding.about for finding in facts.findings}
    boxes = context.data.val.samples.targets[context.data.val.labeled][..., 4]
    counts = np.bincount(boxes[boxes >= 0].astype(int), minlength=10).tolist()
    assert labels_of(facts) == [counts, counts]
    assert {c.teacher for c in facts.left_out} == {t.name for t in facts.teachers}
    page = audit_page(facts, "boxes")
    assert "mAP of each teacher" in page
    assert "the right teacher for each sample" not in page


def test_audit_of_several_labels_per_sample(audited: Callable[..., Any]) -> None:
    Path("several.yaml").write_text(SEVERAL)
    facts, context = audited("several.yaml")
    there = context.data.val.samples.targets[context.data.val.labeled] == 1
    assert labels_of(facts) == [there.sum(axis=0).tolist()] * 2
    assert facts.oracle is None


def test_oracle_below_a_teacher_is_not_reported(context: Contexts) -> None:
    made = context("data.labels=100")
    panel = panel_of(made, prepare_teachers(made, 0))
    alone = per_teacher.outcomes(panel)
    found = oracle_of(panel, alone)
    assert isinstance(found, Estimate)
    assert found.value >= max(outcome.score.value for outcome in alone)
    other = replace(alone[0], score=replace(alone[0].score, value=found.value + 0.01))
    assert "a teacher alone has a better score" in str(oracle_of(panel, [*alone[1:], other]))
