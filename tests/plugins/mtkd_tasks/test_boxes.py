"""Boxes: overlap, geometry of views, similarity."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from mtkd_cli.counter_rng import id_numbers
from mtkd_cli.data.views import affine, view
from mtkd_cli.recipe.schema import Augment
from mtkd_tasks.boxes import best_first, empty, from_lists, likeness, overlap, transform_boxes

NOTHING = [0.0, 0.0, 0.0, 0.0, -1.0]


def rows(*boxes: list[float]) -> Tensor:
    return torch.tensor([list(boxes)])


def test_overlap_is_intersection_over_union() -> None:
    first = torch.tensor([[0.0, 0.0, 0.4, 0.4]])
    second = torch.tensor([[0.2, 0.2, 0.6, 0.6], [0, 0, 0.4, 0.4], [0.4, 0, 0.8, 0.4], [0, 0, 0, 0]])
    assert overlap(first, second)[0].tolist() == pytest.approx([0.04 / 0.28, 1, 0, 0])


def test_flip_mirrors_boxes_and_keeps_empty_rows() -> None:
    flip = torch.tensor([[[-1.0, 0, 0], [0, 1, 0]]])
    target = rows([0.1, 0.2, 0.3, 0.6, 4], [0.0, 0.0, 1.0, 1.0, 2], NOTHING)
    shown = transform_boxes(target, flip)
    assert torch.allclose(shown, rows([0.7, 0.2, 0.9, 0.6, 4], [0, 0, 1, 1, 2], NOTHING), atol=1e-6)
    assert torch.allclose(transform_boxes(shown, flip), target, atol=1e-6)


def test_clips_boxes_and_removes_hidden_ones() -> None:
    right_by_half = torch.tensor([[[1.0, 0, -1.0], [0, 1, 0]]])  # position 0 moves to 0.5
    target = rows([0.3, 0.0, 0.7, 1.0, 1], [0.45, 0.0, 0.95, 1.0, 2], [0.0, 0.0, 0.5, 0.5, 3])
    shown = transform_boxes(target, right_by_half)
    assert shown[0, 0].tolist() == pytest.approx([0.8, 0, 1, 1, 1])
    assert shown[0, 1, 4] == -1  # a tenth of its area is left
    assert shown[0, 2].tolist() == pytest.approx([0.5, 0, 1, 0.5, 3])


def test_hidden_labels_stay_hidden() -> None:
    target = torch.full((1, 2, 5), math.nan)
    assert transform_boxes(target, torch.tensor([[[-1.0, 0, 0], [0, 1, 0]]])).isnan().all()


@pytest.mark.parametrize("number", range(1, 6))
def test_boxes_follow_image(number: int) -> None:
    size = 64
    box = torch.tensor([0.3, 0.4, 0.55, 0.7])
    x1, y1, x2, y2 = (box * size).round().long().tolist()
    image = torch.zeros(1, 1, size, size, dtype=torch.uint8)
    image[..., y1:y2, x1:x2] = 255
    target = torch.tensor([[[x1 / size, y1 / size, x2 / size, y2 / size, 0]]])
    augment, ids = Augment(flip=True, shift=0.1, zoom=0.2, crop=0.9), id_numbers(("a",))
    shown = view(image.numpy(), ids, number, 0, augment)
    places = affine(ids, number, 0, augment)
    assert places is not None
    seen = (shown[0, 0] > 0.5).nonzero()
    found = transform_boxes(target, places)[0, 0, :4] * size
    expected = torch.cat([seen.amin(0).flip(0), seen.amax(0).flip(0) + 1]).float()
    assert (found - expected).abs().max() <= 1


def answer(*boxes: list[float]) -> Tensor:
    return best_first(torch.tensor([list(boxes)]))


BOX, OTHER = [0.1, 0.1, 0.4, 0.4], [0.5, 0.5, 0.9, 0.9]


def similarity(given_answer: Tensor, *wanted: list[float]) -> float:
    boxes = torch.tensor([[row[:4] for row in wanted]]).reshape(1, len(wanted), 4)
    labels = torch.tensor([[row[4] for row in wanted]]).reshape(1, len(wanted))
    return likeness(given_answer, boxes, labels, (labels >= 0).float()).item()


def test_similarity_of_equal_or_empty_boxes_is_1() -> None:
    assert similarity(answer([*BOX, 1, 3], [*OTHER, 1, 5]), [*OTHER, 5], [*BOX, 3]) == pytest.approx(1)
    assert similarity(empty(1), NOTHING) == pytest.approx(1)


def test_errors_lower_similarity() -> None:
    half = similarity(answer([*BOX, 1, 3]), [*BOX, 3], [*OTHER, 5])
    assert half == pytest.approx((2 + 0.1) / (3 + 0.1))
    assert similarity(answer([*BOX, 1, 4]), [*BOX, 3]) == pytest.approx(0.1 / 2.1)
    assert similarity(answer([*BOX, 0.5, 3]), NOTHING) == pytest.approx(0.1 / 0.35)


@given(st.integers(0, 10_000))
def test_similarity_is_between_0_and_1(seed: int) -> None:
    draw = torch.Generator().manual_seed(seed)
    corners = torch.rand(1, 8, 2, generator=draw)
    boxes = torch.cat([corners, corners + torch.rand(1, 8, 2, generator=draw)], dim=2)
    some = torch.cat([boxes, torch.rand(1, 8, 1, generator=draw), torch.randint(0, 2, (1, 8, 1)).float()], 2)
    value = likeness(best_first(some), boxes, some[..., 5], torch.ones(1, 8))
    assert 0 < value <= 1 + 1e-6


def test_converts_torchvision_lists() -> None:
    image = {
        "boxes": torch.tensor([BOX, OTHER]),
        "scores": torch.tensor([0.2, 0.9]),
        "labels": torch.tensor([1, 7]),
    }
    found = from_lists([image])
    assert found.shape == (1, 100, 6)
    assert found[0, 0].tolist() == pytest.approx([*OTHER, 0.9, 7])
    assert found[0, 2].tolist() == [0, 0, 0, 0, 0, -1]
    with pytest.raises(ValueError, match="pixels"):
        from_lists([{**image, "boxes": image["boxes"] * 100}])
    with pytest.raises(ValueError, match="needs boxes, scores and labels"):
        from_lists([{"boxes": image["boxes"]}])
