"""A teacher that depends on chance or on the batch is named before anything is recorded."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mtkd_cli.teachers.repeatability import doubt_repeatability
from tests.fixtures.command_line import mtkd
from tests.fixtures.small_runs import Contexts

VIEWS = torch.rand(4, 5, generator=torch.Generator().manual_seed(0))
ODD = """
import torch.nn.functional as F
from torch import nn

class Net(nn.Module):
    def __init__(self, kind):
        super().__init__()
        self.kind, self.last = kind, nn.Linear(64, 10)

    def forward(self, x):
        x = self.last(x.flatten(1))
        if self.kind == "dropout":
            return F.dropout(x, 0.2)
        if self.kind == "centered":
            return x - x.mean()
        if self.kind == "batchnorm":
            return F.batch_norm(x, None, None, training=True)
        return x

dropout, centered, batchnorm, plain = (
    lambda kind=kind: Net(kind) for kind in ("dropout", "centered", "batchnorm", "plain")
)
"""


def boxes(scores: Tensor) -> Tensor:
    """One box of each score for each view, the best first; equal scores are in the order of the batch."""
    corners = torch.arange(3.0)[:, None] * 10 + torch.tensor([0.0, 0.0, 5.0, 5.0])
    found = torch.cat([corners, scores[:, None], torch.ones(3, 1)], dim=1)
    return found[scores.argsort(descending=True)]


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (lambda views: views * 3, ""),
        (lambda views: views + 1e-6 * torch.rand_like(views), ""),  # rounding
        (lambda views: views.masked_fill(views > 0.5, torch.nan), ""),
        (lambda views: torch.zeros_like(views), ""),
        (lambda views: F.dropout(views), "when it is asked again"),
        (lambda views: views + 0.1 * torch.rand_like(views), "when it is asked again"),
        (lambda views: F.batch_norm(views.view(-1, 1, 5), None, None, training=True)[:, 0], "the rest of"),
        (lambda views: views - views.mean(), "depend on the rest of the batch"),
        (lambda views: views * torch.arange(len(views))[:, None], "depend on the rest of the batch"),
        (nn.Sequential(nn.Linear(5, 3), nn.BatchNorm1d(3), nn.Dropout()).eval(), ""),
    ],
)
def test_finds_chance_and_dependence_on_batch(answer: nn.Module, says: str) -> None:
    with torch.no_grad():
        doubt = doubt_repeatability(answer, VIEWS, answer(VIEWS), boxes=False)
    assert (doubt is None) == (says == "")
    assert doubt is None or says in doubt.what


def test_compares_boxes_in_any_order() -> None:
    def equal_scores(views: Tensor) -> Tensor:
        return torch.stack([boxes(torch.tensor([0.8, 0.8, 0.1]) + 1e-7 * torch.rand(3)) for _ in views])

    def other_scores(views: Tensor) -> Tensor:
        return torch.stack([boxes(torch.rand(3)) for _ in views])

    assert doubt_repeatability(equal_scores, VIEWS, equal_scores(VIEWS), boxes=True) is None
    assert doubt_repeatability(other_scores, VIEWS, other_scores(VIEWS), boxes=True)


@pytest.mark.parametrize(
    ("name", "says"), [("dropout", "random numbers"), ("centered", "the batch"), ("plain", "")]
)
def test_dry_run_and_doctor_warn(context: Contexts, name: str, says: str) -> None:
    Path("odd.py").write_text(ODD)
    teachers = f"teachers=[{{model: 'python:odd.py:{name}', pretrained: true}}]"
    shown = mtkd("distill", "digits", teachers, "--dry-run", COLUMNS="300").output
    warning = [line for line in shown.splitlines() if "same samples" in line or "of the batch" in line]
    assert len(warning) == bool(says)
    assert says in "".join(warning)
    rows = json.loads(mtkd("doctor", "digits", teachers, "--json").stdout)
    found = [row for row in rows["findings"] if says and says in row["found"] + row["hint"]]
    assert len(found) == bool(says)
    assert all(row["status"] == "warn" and row["hint"] for row in found)


def test_teacher_that_fails_on_one_sample_is_named(context: Contexts) -> None:
    Path("odd.py").write_text(ODD)
    teachers = "teachers=[{model: 'python:odd.py:batchnorm', pretrained: true}]"
    failed = mtkd("distill", "digits", teachers, "--dry-run")
    assert failed.exit_code == 3
    assert "the teacher fails on inputs (1, 1, 8, 8)" in failed.stderr
    assert "does its code call eval()?" in failed.stderr
