"""Label spaces are aligned by class name, never by position alone."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mtkd_cli.errors import DataError
from mtkd_cli.interfaces import Alignment
from mtkd_cli.interfaces.label_space import UNKNOWN, align_logits, usage_mask_of_labels
from mtkd_cli.teachers.label_alignment import align_classes

TASK = ("ant", "bee", "cat")


@given(st.permutations([*TASK, "dog", "eel"]))
def test_aligns_classes_in_any_order(teacher: list[str]) -> None:
    found = align_classes(teacher, TASK, 5, "t")
    assert tuple(teacher[index] for (index,) in found.groups) == TASK


def test_unnamed_outputs_keep_their_order() -> None:
    assert align_classes(None, TASK, 3, "t").groups == ((0,), (1,), (2,))


def test_rejects_unnamed_outputs_of_wrong_size() -> None:
    with pytest.raises(DataError, match="has 4 outputs, but the data has 3 classes") as error:
        align_classes(None, TASK, 4, "big")
    assert error.value.where == "teacher 'big'"
    assert "classes:" in error.value.hint


def test_rejects_wrong_number_of_names() -> None:
    with pytest.raises(DataError, match="has 5 outputs but 3 class names"):
        align_classes(TASK, TASK, 5, "t")


def test_unknown_class_has_no_output() -> None:
    assert align_classes(("ant", "bee", "cats"), TASK, 3, "t").groups == ((0,), (1,), ())


def test_rejects_duplicate_name_in_use() -> None:
    """ImageNet has two classes called crane: the bird and the machine."""
    teacher = ("ant", "crane", "crane")
    with pytest.raises(DataError, match="2 classes called 'crane'"):
        align_classes(teacher, ("ant", "crane"), 3, "t")
    assert align_classes(teacher, ("ant",), 3, "t").groups == ((0,),)


def test_sums_probabilities_of_mapped_outputs() -> None:
    outputs = torch.randn(4, 3, 2, 2, generator=torch.Generator().manual_seed(0))
    found = align_logits(outputs, Alignment(((0, 2), (1,)))).softmax(dim=1)
    p = outputs.softmax(dim=1)
    torch.testing.assert_close(found, torch.stack([p[:, 0] + p[:, 2], p[:, 1]], dim=1))


def test_unknown_class_has_zero_probability() -> None:
    outputs = torch.randn(4, 2, generator=torch.Generator().manual_seed(0))
    found = align_logits(outputs, Alignment(((1,), (), (0,))))
    assert (found[:, 1] == UNKNOWN).all()
    torch.testing.assert_close(found.softmax(dim=1)[:, [2, 0]], outputs.softmax(dim=1))
    assert (found.softmax(dim=1)[:, 1] == 0).all()


def test_teacher_is_ignored_on_unknown_labels() -> None:
    known = torch.tensor([[True, True, False], [False, True, True]])
    usage_mask = usage_mask_of_labels(torch.tensor([0, 1, 2, -1]), known)
    assert usage_mask.tolist() == [[True, True, False, True], [False, True, True, True]]
