"""Label spaces are aligned by class name, never by position alone."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mtkd_cli.errors import DataError
from mtkd_cli.interfaces import Alignment
from mtkd_cli.interfaces.label_space import UNKNOWN, on_classes, speaks
from mtkd_cli.teachers.label_alignment import aligned_to

TASK = ("ant", "bee", "cat")


@given(st.permutations([*TASK, "dog", "eel"]))
def test_each_class_finds_its_output_in_any_order(teacher: list[str]) -> None:
    found = aligned_to(teacher, TASK, 5, "t")
    assert tuple(teacher[place] for (place,) in found.groups) == TASK


def test_a_teacher_without_names_of_the_right_size_is_taken_in_order() -> None:
    assert aligned_to(None, TASK, 3, "t").groups == ((0,), (1,), (2,))


def test_a_teacher_without_names_of_another_size_is_refused() -> None:
    with pytest.raises(DataError, match="gives 4 outputs, the data has 3 classes") as error:
        aligned_to(None, TASK, 4, "big")
    assert error.value.where == "teacher 'big'"
    assert "classes:" in error.value.hint


def test_names_that_are_not_as_many_as_outputs_are_refused() -> None:
    with pytest.raises(DataError, match="gives 5 outputs but has 3 class names"):
        aligned_to(TASK, TASK, 5, "t")


def test_a_class_that_the_teacher_does_not_know_has_no_output() -> None:
    assert aligned_to(("ant", "bee", "cats"), TASK, 3, "t").groups == ((0,), (1,), ())


def test_two_outputs_of_one_name_are_refused_where_that_name_is_asked_for() -> None:
    """ImageNet has two classes called crane: the bird and the machine."""
    teacher = ("ant", "crane", "crane")
    with pytest.raises(DataError, match="2 classes called 'crane'"):
        aligned_to(teacher, ("ant", "crane"), 3, "t")
    assert aligned_to(teacher, ("ant",), 3, "t").groups == ((0,),)


def test_outputs_that_answer_one_class_are_summed_as_probabilities() -> None:
    outputs = torch.randn(4, 3, 2, 2, generator=torch.Generator().manual_seed(0))
    found = on_classes(outputs, Alignment(((0, 2), (1,)))).softmax(dim=1)
    p = outputs.softmax(dim=1)
    torch.testing.assert_close(found, torch.stack([p[:, 0] + p[:, 2], p[:, 1]], dim=1))


def test_a_class_that_is_not_known_has_no_probability() -> None:
    outputs = torch.randn(4, 2, generator=torch.Generator().manual_seed(0))
    found = on_classes(outputs, Alignment(((1,), (), (0,))))
    assert (found[:, 1] == UNKNOWN).all()
    torch.testing.assert_close(found.softmax(dim=1)[:, [2, 0]], outputs.softmax(dim=1))
    assert (found.softmax(dim=1)[:, 1] == 0).all()


def test_a_teacher_is_not_heard_on_a_label_of_a_class_it_does_not_know() -> None:
    known = torch.tensor([[True, True, False], [False, True, True]])
    heard = speaks(torch.tensor([0, 1, 2, -1]), known)
    assert heard.tolist() == [[True, True, False, True], [False, True, True, True]]
