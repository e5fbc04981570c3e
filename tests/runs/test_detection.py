"""A small run of detection, end to end."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mtkd_cli.errors import DataError
from tests.fixtures.small_runs import Distill

SMALL = (
    "data.scenes=24",
    "data.test_scenes=12",
    "data.labels=12",
    "data.val=0.5",
    "views=1",
    "augment={flip: true}",
    "fit.epochs=2",
    "train.epochs=2",
    "train.lr=0.01",
    "teachers=[{model: 'tiny-fcos:16', fit: all}, {model: 'tiny-fcos:8', input: {size: 48}, fit: all}]",
    "student=tiny-fcos:8",
)


@pytest.fixture
def detect(distill: Distill) -> Distill:
    def run(*more: str, **keys: Any) -> dict[str, Any]:
        return distill(*SMALL, *more, recipe="digit-scenes-det", **keys)

    return run


def test_a_run_of_detection_has_scores_for_everyone_and_a_picture(detect: Distill) -> None:
    report = detect(baseline=True, name="boxes")
    everyone = [report["scores"]["student"], report["scores"]["ensemble"]]
    everyone += [*report["scores"]["baselines"].values(), *report["scores"]["teachers"].values()]
    assert [list(scores)[:3] for scores in everyone] == [["map", "ap50", "ap75"]] * len(everyone)
    assert all(0 <= scores["map"] <= scores["ap50"] <= 1 for scores in everyone)
    assert (Path("runs/boxes/predictions.png")).exists()


def test_another_strategy_costs_no_teacher_pass(detect: Distill, monkeypatch: pytest.MonkeyPatch) -> None:
    from mtkd_cli.teachers import prepare

    detect()

    def loaded(*_: object) -> None:
        raise AssertionError("a teacher was loaded")

    monkeypatch.setattr(prepare, "load_teacher", loaded)
    for change in ("strategy=confidence", "strategy=drop", "strategy=best"):
        detect(change)


def test_a_teacher_of_some_classes_teaches_these(detect: Distill) -> None:
    Path("half.py").write_text(
        "import torch\n"
        "class Half(torch.nn.Module):\n"
        "    def forward(self, images):\n"
        "        answer = torch.zeros(len(images), 1, 6)\n"
        "        answer[:, 0] = torch.tensor([0.1, 0.1, 0.5, 0.5, 0.9, 1])\n"
        "        return answer\n"
        "def build(pretrained):\n"
        "    return Half()\n"
    )
    half = "{model: 'python:half.py:build', name: half, pretrained: true, classes: ['3', '7']}"
    report = detect(f"teachers=[{half}, {{model: 'tiny-fcos:8', fit: all}}]", "strategy=confidence")
    assert set(report["scores"]["teachers"]) == {"half", "tiny-fcos-8"}


def test_a_detector_is_no_classifier_and_the_other_way_round(detect: Distill) -> None:
    Path("plain.py").write_text(
        "import torch\n"
        "def build(outputs, pretrained):\n"
        "    return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(1024, outputs))\n"
    )
    with pytest.raises(DataError, match=r"\(4, 10\).*samples, boxes, 6"):
        detect("teachers=[{model: 'python:plain.py:build', pretrained: true}]")
