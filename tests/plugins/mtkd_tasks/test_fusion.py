"""Merging boxes: by hand, and as `ensemble-boxes` does it, whose answers `make_fusion_oracle.py` kept."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from mtkd_tasks.boxes import best_first, empty
from mtkd_tasks.fusion import Fusion
from mtkd_tasks.fusion_cache import Kept

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


def test_two_teachers_of_one_box_give_its_score_weighted_mean() -> None:
    (box,) = fused(answer([*A, 0.9, 1]), answer([*B, 0.6, 1]))
    x1 = (0.9 * 0.1 + 0.6 * 0.12) / 1.5
    assert box == pytest.approx([x1, 0.1, x1 + 0.4, 0.5, 0.75, 1])


def test_a_box_that_one_of_two_teachers_sees_has_half_its_score() -> None:
    assert fused(answer([*A, 0.8, 1]), answer()) == [pytest.approx([*A, 0.4, 1])]


def test_boxes_of_other_classes_or_apart_are_not_merged() -> None:
    found = fused(answer([*A, 0.8, 1]), answer([*B, 0.8, 2], [*FAR, 0.6, 1]))
    assert sorted(row[4:] for row in found) == [
        pytest.approx([0.3, 1]),
        pytest.approx([0.4, 1]),
        pytest.approx([0.4, 2]),
    ]


def test_weights_say_how_much_a_teacher_counts_in_place_and_score() -> None:
    (box,) = fused(answer([*A, 0.8, 1]), answer([*B, 0.8, 1]), weights=[0.75, 0.25])
    assert box == pytest.approx([0.105, 0.1, 0.505, 0.5, 0.8, 1])
    assert fused(answer([*A, 0.8, 1]), answer([*FAR, 0.9, 1]), weights=[1.0, 0.0]) == [
        pytest.approx([*A, 0.8, 1])
    ]


def test_a_teacher_that_never_heard_of_a_class_casts_no_doubt_on_it() -> None:
    known = torch.tensor([[True, True, False], [True, False, True]])
    outputs = answer([*A, 0.8, 1]), answer([*FAR, 0.6, 2])
    assert fused(*outputs, known=known) == [pytest.approx([*A, 0.8, 1]), pytest.approx([*FAR, 0.6, 2])]
    (shared,) = fused(answer([*A, 0.8, 0]), answer(), known=known)
    assert shared[4] == pytest.approx(0.4)


def test_identical_teachers_answer_what_one_does() -> None:
    one = answer([*A, 0.9, 1], [*FAR, 0.3, 2], [*FAR, 0.2, 0])
    for how in (WBF, Fusion("nms", 0.5, 0.0)):
        assert fused(one, one, one, how=how) == [pytest.approx(row) for row in fused(one, how=how)]


def test_nothing_merged_is_nothing_and_no_score_passes_one() -> None:
    assert fused(answer(), answer()) == []
    twice = answer([*A, 1.0, 1], [*B, 1.0, 1])
    assert all(row[4] <= 1 for row in fused(twice, twice))


def test_boxes_of_little_score_are_left_out() -> None:
    how = Fusion("wbf", 0.55, 0.1)
    assert len(fused(answer([*A, 0.3, 1], [*FAR, 0.09, 1]), how=how)) == 1


def some(seed: int, count: int = 12) -> Tensor:
    """Random boxes of two classes, many of which overlap."""
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
def test_weighted_boxes_fusion_is_that_of_the_reference(case: dict[str, Any]) -> None:
    outputs = [answer(*boxes) for boxes in case["answers"]]
    for expected in case["wbf"]:
        assert_same(fused(*outputs, weights=expected["weights"]), expected["boxes"])


@pytest.mark.parametrize("case", ORACLE)
def test_suppression_is_that_of_the_reference(case: dict[str, Any]) -> None:
    outputs = [answer(*boxes) for boxes in case["answers"]]
    assert_same(fused(*outputs, how=Fusion("nms", 0.5, 0.0)), case["nms"])
    soft = [[*row[:4], row[5]] for row in fused(*outputs, how=Fusion("soft-nms", 0.5, 0.1))]
    assert_same(sorted(soft), case["soft_kept"])


def test_soft_suppression_lowers_the_score_of_what_overlaps_a_better_box() -> None:
    first, second = fused(answer([*A, 0.9, 1]), answer([*B, 0.8, 1]), how=Fusion("soft-nms", 0.5, 0.01))
    shared = 0.38 * 0.4 / (2 * 0.16 - 0.38 * 0.4)
    assert first == pytest.approx([*A, 0.9, 1])
    assert second == pytest.approx([*B, 0.8 * np.exp(-(shared**2) / 0.5), 1])


def test_a_sample_is_merged_the_same_whatever_else_is_in_the_batch() -> None:
    outputs = [torch.cat([some(k), some(k + 5, 3), empty(1)]) for k in range(3)]
    weights = torch.tensor([[0.2, 0.5, 1.0], [0.3, 0.5, 0.0], [0.5, 0.0, 0.0]])
    known = torch.ones(3, CLASSES, dtype=torch.bool)
    for how in (WBF, Fusion("nms", 0.5, 0.0), Fusion("soft-nms", 0.5, 0.01)):
        together = how(outputs, weights, known)
        for place in range(3):
            alone = how([o[[place]] for o in outputs], weights[:, [place]], known)
            torch.testing.assert_close(together[[place]], alone)


def test_the_same_answers_with_the_same_weights_are_merged_once() -> None:
    calls: list[int] = []

    def merge(outputs: list[Tensor], weights: Tensor, known: Tensor) -> Tensor:
        calls.append(len(outputs[0]))
        return WBF(outputs, weights, known)

    kept, known = Kept(), torch.ones(2, CLASSES, dtype=torch.bool)
    outputs = [torch.cat([some(1), some(2)]), torch.cat([some(3), some(4)])]
    weights = torch.full((2, 2), 0.5)
    first = kept(merge, outputs, weights, known)
    torch.testing.assert_close(first, WBF(outputs, weights, known))
    assert torch.equal(kept(merge, [o.flip(0) for o in outputs], weights, known), first.flip(0))
    assert calls == [2]
    other = weights.clone()
    other[:, 1] = torch.tensor([0.9, 0.1])
    assert torch.equal(kept(merge, outputs, other, known)[0], first[0])
    assert calls == [2, 1]
