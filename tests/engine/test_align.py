"""Label spaces are aligned by class name, never by position alone."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mtkd_cli.align import columns
from mtkd_cli.errors import DataError

TASK = ("ant", "bee", "cat")


@given(st.permutations([*TASK, "dog", "eel"]))
def test_each_class_finds_its_output_in_any_order(teacher: list[str]) -> None:
    found = columns(teacher, TASK, 5, "t")
    assert tuple(teacher[place] for place in found) == TASK


def test_a_teacher_without_names_of_the_right_size_is_taken_in_order() -> None:
    assert columns(None, TASK, 3, "t") == (0, 1, 2)


def test_a_teacher_without_names_of_another_size_is_refused() -> None:
    with pytest.raises(DataError, match="gives 4 outputs, the data has 3 classes") as error:
        columns(None, TASK, 4, "big")
    assert error.value.where == "teacher 'big'"
    assert "classes:" in error.value.hint


def test_names_that_are_not_as_many_as_outputs_are_refused() -> None:
    with pytest.raises(DataError, match="gives 5 outputs but has 3 class names"):
        columns(TASK, TASK, 5, "t")


def test_classes_that_the_teacher_does_not_know_are_named_with_the_nearest() -> None:
    with pytest.raises(DataError, match="does not know 1 of the data's 3 classes: cat") as error:
        columns(("ant", "bee", "cats"), TASK, 3, "t")
    assert error.value.hint == "did you mean 'cats'?"


def test_many_unknown_classes_are_cut_short() -> None:
    with pytest.raises(DataError, match=r"5 of the data's 5 classes: v, w, x, \.\.\."):
        columns(("a", "b"), tuple("vwxyz"), 2, "t")


def test_two_outputs_of_one_name_are_refused_where_that_name_is_asked_for() -> None:
    """ImageNet has two classes called crane: the bird and the machine."""
    teacher = ("ant", "crane", "crane")
    with pytest.raises(DataError, match="2 classes called 'crane'"):
        columns(teacher, ("ant", "crane"), 3, "t")
    assert columns(teacher, ("ant",), 3, "t") == (0,)
