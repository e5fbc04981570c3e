"""Merging boxes, against hand-computed values and `ensemble-boxes` (see `make_fusion_oracle.py`)."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from mtkd_tasks.boxes import best_first, empty
from mtkd_tasks.fusion import Fusion
from mtkd_tasks.fusion_cache import FusionCache

ORACLE = json.loads(Path(__file__).with_name("fusion_oracle.json").read_text())
WBF = Fusion("wbf", 0.55, 0.0)
CLASSES = 3
A, B = [0.1, 0.1, 0.5, 0.5], [0.12, 0.1, 0.52, 0.5]
FAR = [0.6, 0.6, 0.9, 0.9]


def answer(*boxes: list[float]) -> Tensor:
    return best_first(torch.tensor([list(boxes)])) if boxes else empty(1)


def fused(
    *outputs: Tensor, weights: list[float] | None = None, known: Tensor | None = None, how: Fusion = WBF
) -> list[list[float]]:
    shares = torch.tensor(weights or [1 / len(outputs)] * len(outputs))[:, None]
    known = torch.ones(len(outputs), CLASSES, dtype=torch.bool) if known is None else known
    found = how(outputs, shares, known)[0]
    return [row.tolist() for row in found if row[4] > 0]


def test_merges_to_score_weighted_mean() -> None:
    (box,) = fused(answer([*A, 0.9, 1]), answer([*B, 0.6, 1]))
    x1 = (0.9 * 0.1 + 0.6 * 0.12) / 1.5
    assert box == pytest.approx([x1, 0.1, x1 + 0.4, 0.5, 0.75, 1])


def test_box_of_one_of_two_teachers_has_half_score() -> None:
    assert fused(answer([*A, 0.8, 1]), answer()) == [pytest.approx([*A, 0.4, 1])]


def test_does_not_merge_other_classes_or_distant_boxes() -> None:
    found = fused(answer([*A, 0.8, 1]), answer([*B, 0.8, 2], [*FAR, 0.6, 1]))
    assert sorted(row[4:] for row in found) == [
        pytest.approx([0.3, 1]),
        pytest.approx([0.4, 1]),
        pytest.approx([0.4, 2]),
    ]


def test_teacher_weights_affect_position_and_score() -> None:
    (box,) = fused(answer([*A, 0.8, 1]), answer([*B, 0.8, 1]), weights=[0.75, 0.25])
    assert box == pytest.approx([0.105, 0.1, 0.505, 0.5, 0.8, 1])
    assert fused(answer([*A, 0.8, 1]), answer([*FAR, 0.9, 1]), weights=[1.0, 0.0]) == [
        pytest.approx([*A, 0.8, 1])
    ]


def test_teacher_without_class_does_not_lower_score() -> None:
    known = torch.tensor([[True, True, False], [True, False, True]])
    outputs = answer([*A, 0.8, 1]), answer([*FAR, 0.6, 2])
    assert fused(*outputs, known=known) == [pytest.approx([*A, 0.8, 1]), pytest.approx([*FAR, 0.6, 2])]
    (shared,) = fused(answer([*A, 0.8, 0]), answer(), known=known)
    assert shared[4] == pytest.approx(0.4)


def test_identical_teachers_equal_one() -> None:
    one = answer([*A, 0.9, 1], [*FAR, 0.3, 2], [*FAR, 0.2, 0])
    for how in (WBF, Fusion("nms", 0.5, 0.0)):
        assert fused(one, one, one, how=how) == [pytest.approx(row) for row in fused(one, how=how)]


def test_empty_input_and_score_limit() -> None:
    assert fused(answer(), answer()) == []
    twice = answer([*A, 1.0, 1], [*B, 1.0, 1])
    assert all(row[4] <= 1 for row in fused(twice, twice))


def test_drops_low_scores() -> None:
    how = Fusion("wbf", 0.55, 0.1)
    assert len(fused(answer([*A, 0.3, 1], [*FAR, 0.09, 1]), how=how)) == 1


def random_boxes(seed: int, count: int = 12) -> Tensor:
    """Return random boxes of two classes, many of which overlap."""
    draw = torch.Generator().manual_seed(seed)
    centres = torch.tensor([[0.3, 0.3], [0.6, 0.6], [0.7, 0.3]])[
        torch.randint(0, 3, (count,), generator=draw)
    ]
    centres = centres + torch.randn(count, 2, generator=draw) * 0.03
    sides = 0.2 + torch.rand(count, 2, generator=draw) * 0.1
    scores = torch.rand(count, 1, generator=draw)
    labels = torch.randint(0, 2, (count, 1), generator=draw).float()
    return best_first(torch.cat([centres - sides / 2, centres + sides / 2, scores, labels], dim=1)[None])


def assert_same(found: list[list[float]], expected: list[list[float]]) -> None:
    np.testing.assert_allclose(np.array(found), np.array(expected), atol=2e-5)


@pytest.mark.parametrize("case", ORACLE)
def test_wbf_matches_reference(case: dict[str, Any]) -> None:
    outputs = [answer(*boxes) for boxes in case["answers"]]
    for expected in case["wbf"]:
        assert_same(fused(*outputs, weights=expected["weights"]), expected["boxes"])


@pytest.mark.parametrize("case", ORACLE)
def test_nms_matches_reference(case: dict[str, Any]) -> None:
    outputs = [answer(*boxes) for boxes in case["answers"]]
    assert_same(fused(*outputs, how=Fusion("nms", 0.5, 0.0)), case["nms"])
    soft = [[*row[:4], row[5]] for row in fused(*outputs, how=Fusion("soft-nms", 0.5, 0.1))]
    assert_same(sorted(soft), case["soft_kept"])


def test_soft_nms_lowers_scores_of_overlapping_boxes() -> None:
    first, second = fused(answer([*A, 0.9, 1]), answer([*B, 0.8, 1]), how=Fusion("soft-nms", 0.5, 0.01))
    shared = 0.38 * 0.4 / (2 * 0.16 - 0.38 * 0.4)
    assert first == pytest.approx([*A, 0.9, 1])
    assert second == pytest.approx([*B, 0.8 * np.exp(-(shared**2) / 0.5), 1])


def test_samples_are_independent() -> None:
    outputs = [torch.cat([random_boxes(k), random_boxes(k + 5, 3), empty(1)]) for k in range(3)]
    weights = torch.tensor([[0.2, 0.5, 1.0], [0.3, 0.5, 0.0], [0.5, 0.0, 0.0]])
    known = torch.ones(3, CLASSES, dtype=torch.bool)
    for how in (WBF, Fusion("nms", 0.5, 0.0), Fusion("soft-nms", 0.5, 0.01)):
        together = how(outputs, weights, known)
        for place in range(3):
            alone = how([o[[place]] for o in outputs], weights[:, [place]], known)
            torch.testing.assert_close(together[[place]], alone)


def test_cache_merges_equal_inputs_once() -> None:
    calls: list[int] = []

    def merge(outputs: list[Tensor], weights: Tensor, known: Tensor) -> Tensor:
        calls.append(len(outputs[0]))
        return WBF(outputs, weights, known)

    kept, known = FusionCache(), torch.ones(2, CLASSES, dtype=torch.bool)
    outputs = [torch.cat([random_boxes(1), random_boxes(2)]), torch.cat([random_boxes(3), random_boxes(4)])]
    weights = torch.full((2, 2), 0.5)
    first = kept(merge, outputs, weights, known)
    torch.testing.assert_close(first, WBF(outputs, weights, known))
    assert torch.equal(kept(merge, [o.flip(0) for o in outputs], weights, known), first.flip(0))
    assert calls == [2]
    other = weights.clone()
    other[:, 1] = torch.tensor([0.9, 0.1])
    assert torch.equal(kept(merge, outputs, other, known)[0], first[0])
    assert calls == [2, 1]
